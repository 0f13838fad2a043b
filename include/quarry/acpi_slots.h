/* SPDX-License-Identifier: MIT */
/*
 * acpi_slots.h: slots for memory modules and CPUs that are plugged in and removed at run time.
 *
 * A bank of slots is a block of registers: one register chooses a slot, the others belong to it.
 * The layouts are those of QEMU's documents acpi_mem_hotplug and acpi_cpu_hotplug.  The registers
 * are accessed by functions, and not trusted, so that the same code runs on a host with simulated
 * registers.
 */
#ifndef QUARRY_ACPI_SLOTS_H
#define QUARRY_ACPI_SLOTS_H

#include <quarry/mm.h>

#define MAX_SLOTS 256u

/* Registers of one block: @offset from its start, @bytes 1 or 4. */
struct slot_regs {
	u32 (*read)(void *arg, unsigned offset, unsigned bytes);
	void (*write)(void *arg, unsigned offset, unsigned bytes, u32 value);
	void *arg;
};

/* The device in a slot, according to its registers. */
struct slot_device {
	u64 address, size; /* of memory, in bytes; 0 for a CPU */
	u32 id;            /* proximity domain of memory; APIC id of a CPU */
};

/*
 * The user of the devices in slots.
 * take: start to use a device.  Returns 0; -EALREADY it is in use, since boot; -EEXIST its
 *       addresses belong to another device; or another error.
 * give: stop using the device for good.  Returns 0; or an error: then it is used as before.
 * used: is a device in use by hand, although take has failed?  NULL: never.
 * again: take has failed with -ENOMEM; may it succeed now?  NULL: no.
 * take and give set *why to a text when they fail.  Context: thread, may sleep.
 */
struct slot_user {
	int (*take)(void *arg, const struct slot_device *dev, const char **why);
	int (*give)(void *arg, const struct slot_device *dev, const char **why);
	bool (*used)(void *arg, const struct slot_device *dev);
	bool (*again)(void *arg, const struct slot_device *dev);
	void *arg;
};

enum slot_kind { SLOT_MEMORY, SLOT_CPU };
enum slot_state {
	SLOT_EMPTY,
	SLOT_USED,
	SLOT_REFUSED, /* it has a device that could not be used */
};
struct slot {
	enum slot_state state;
	bool foreign;           /* REFUSED: its addresses belong to another device */
	bool lacks;             /* REFUSED for lack of memory */
	struct slot_device dev; /* the device in the slot */
	int err;                /* error of the last refused request for this device; 0: none */
	const char *why;
};

struct slot_bank {
	enum slot_kind kind;
	struct slot_regs regs;
	struct slot_user user;
	unsigned nr;                 /* slots; 0: the bank does not exist */
	struct slot slot[MAX_SLOTS]; /* written only by the scanning thread; others may read it */
	unsigned taken, given, refused; /* numbers of requests */
	unsigned odd;                   /* protocol errors of the device */
};

/*
 * Set up @bank: @nr slots; slots beyond MAX_SLOTS are not used, and a message says so.  A CPU block
 * is switched to its present layout, which it does not have at reset.
 */
void slot_bank_init(struct slot_bank *bank, enum slot_kind kind, const struct slot_regs *regs,
    const struct slot_user *user, unsigned nr);
/*
 * Scan all slots: acknowledge events, use new devices, and release those that are requested.
 * Called at the start, and whenever the device has raised its event.  One caller at a time.
 * Context: thread, may sleep.
 */
void slot_bank_scan(struct slot_bank *bank);
/* Is there a device that could not be used for lack of memory?  A later scan may try it again. */
bool slot_bank_lacks_memory(const struct slot_bank *bank);
/* Print one line for each slot with a device, and a summary.  Context: thread. */
void show_slots(const struct slot_bank *bank);
/* The same for both banks; a bank without slots is left out.  Context: thread. */
void show_slot_banks(const struct slot_bank *memory, const struct slot_bank *cpus);

/* ---- the user of CPUs (drivers/cpu_slot.c) ---- */

/* Return the errors of cpu_plug, cpu_up, cpu_down and cpu_unplug; -EALREADY: it stays in use. */
int cpu_slot_take(void *arg, const struct slot_device *dev, const char **why);
int cpu_slot_give(void *arg, const struct slot_device *dev, const char **why);

/* ---- the user of memory modules (drivers/dimm.c) ---- */

struct dimm_user {
	struct memory *mem;
	const u32 *domain; /* proximity domain of each node */
	unsigned nr_nodes; /* known to the firmware; mem may have only one */
	u64 deadline_ns;   /* time limit of an offline */
};
/*
 * @arg is a struct dimm_user.  dimm_take returns the errors of add_memory and online_pages, but
 * never -EALREADY: -EAGAIN others worked on the memory meanwhile, and it is not in use.  dimm_give
 * returns the errors of offline_pages and remove_memory.
 */
int dimm_take(void *arg, const struct slot_device *dev, const char **why);
int dimm_give(void *arg, const struct slot_device *dev, const char **why);
/*
 * Their responses if another thread works on the memory at the same time.  dimm_use: online_pages
 * of added memory has returned @err; what is in use stays, else the memory is removed.  Returns as
 * dimm_take.  dimm_keep: the memory cannot be removed; if @offlined, bring it back online.
 */
int dimm_use(const struct dimm_user *user, const struct slot_device *dev, int err);
void dimm_keep(const struct dimm_user *user, const struct slot_device *dev, bool offlined);
/* Has memory been added at some of the module's addresses? */
bool dimm_used(void *arg, const struct slot_device *dev);
/* Is there enough free memory for the descriptors of the module's pages, and none was added? */
bool dimm_again(void *arg, const struct slot_device *dev);

#endif
