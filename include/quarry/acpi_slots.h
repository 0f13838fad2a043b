/* SPDX-License-Identifier: MIT */
/*
 * acpi_slots.h: slots for memory modules and CPUs that come and go while the machine runs.
 *
 * A bank of slots is a block of registers: one register chooses a slot, the others are that slot's.  The layouts
 * are those of QEMU's documents acpi_mem_hotplug and acpi_cpu_hotplug.  The registers are reached by functions
 * and trusted in nothing, so that the same code runs on a host against registers that are pretended.
 */
#ifndef QUARRY_ACPI_SLOTS_H
#define QUARRY_ACPI_SLOTS_H

#include <quarry/mm.h>

#define MAX_SLOTS 256u

/* Of one block: @offset from its start, @bytes 1 or 4. */
struct slot_regs {
	u32 (*read)(void *arg, unsigned offset, unsigned bytes);
	void (*write)(void *arg, unsigned offset, unsigned bytes, u32 value);
	void *arg;
};

/* What is in a slot, as its registers say. */
struct slot_device {
	u64 address, size; /* of memory, in bytes; 0 for a CPU */
	u32 id;            /* proximity domain of memory; APIC id of a CPU */
};

/*
 * Who uses what is in the slots.
 * take: start to use it.  Returns 0; -EALREADY it is in use, as what was there at boot; or what is wrong.
 * give: stop using it, for good.  Returns 0, or why it cannot go: then it is used as before.
 * Both set *why to a text when they fail.  Context: thread, may sleep.
 */
struct slot_user {
	int (*take)(void *arg, const struct slot_device *dev, const char **why);
	int (*give)(void *arg, const struct slot_device *dev, const char **why);
	void *arg;
};

enum slot_kind { SLOT_MEMORY, SLOT_CPU };
enum slot_state {
	SLOT_EMPTY,
	SLOT_USED,
	SLOT_REFUSED, /* something is in it that could not be taken into use */
};
struct slot {
	enum slot_state state;
	struct slot_device dev; /* of what is in it */
	int err;                /* of the last request that was refused, since something came; 0: none */
	const char *why;
};

struct slot_bank {
	enum slot_kind kind;
	struct slot_regs regs;
	struct slot_user user;
	unsigned nr;                  /* slots; 0: there is no such bank */
	struct slot slot[MAX_SLOTS];  /* written by the scanner alone, which others may look at */
	unsigned taken, given, refused; /* requests that ended so */
	unsigned odd;                 /* things that a sound device does not say or do */
};

/*
 * Set up @bank: @nr slots, MAX_SLOTS at most, more are left alone and reported.  A CPU block is switched to its
 * present layout, which it has not at reset.
 */
void slot_bank_init(struct slot_bank *bank, enum slot_kind kind, const struct slot_regs *regs,
    const struct slot_user *user, unsigned nr);
/*
 * Look at every slot, acknowledge what it tells, take into use what has come, and give back what is asked for: at
 * the start, and whenever the device has raised its event.  One caller at a time.  Context: thread, may sleep.
 */
void slot_bank_scan(struct slot_bank *bank);
/* One line for each slot with something in it, and a summary.  Context: thread. */
void show_slots(const struct slot_bank *bank);

/* ---- the user of memory modules (drivers/dimm.c) ---- */

struct dimm_user {
	struct memory *mem;
	const u32 *domain;    /* proximity domain of each node */
	unsigned nr_nodes;    /* that the firmware tells of; mem may have taken them all as one */
	u64 deadline_ns;      /* of an offline */
};
/* Their arg is a struct dimm_user.  Errors: those of add_memory and online_pages; of offline_pages. */
int dimm_take(void *arg, const struct slot_device *dev, const char **why);
int dimm_give(void *arg, const struct slot_device *dev, const char **why);

#endif
