/* SPDX-License-Identifier: MIT */
/*
 * slots_help.h: a block of slots with simulated registers, and a simulated user of their devices;
 * for the suites about slots.
 */
#ifndef QUARRY_TESTS_SLOTS_HELP_H
#define QUARRY_TESTS_SLOTS_HELP_H

#include "tests/lib/add_help.h"

#include <quarry/acpi_slots.h>

#define NR 4u

/* ---- a pretended device ---- */

enum { ENABLED = 1, INSERT = 2, REMOVE = 4, EJECT = 8 };

struct fake_slots {
	enum slot_kind kind;
	u32 chosen, command, ost_event;
	struct fake_slot {
		u32 status;
		struct slot_device dev;
		u32 event, result; /* of the last report to the host */
		unsigned told;     /* reports to the host */
		unsigned ejected;
	} slot[NR];
	bool deaf;         /* acknowledging changes nothing */
	bool holds_on;     /* ejecting changes nothing */
	u32 next;          /* id of the device put into the next slot that becomes empty; 0: none */
	bool silent;       /* every register reads as all ones */
	unsigned switched; /* writes of 0 at offset 0, which end the old layout of CPU slots */
	unsigned wrong;    /* accesses that do not fit the layout */
	int refuses;       /* the error that the user returns; 0: it agrees */
	u32 taken, given;  /* ids of the last calls of the user */
};
extern struct fake_slots fake_slots;

extern struct slot_bank slots_bank;
void told(struct fake_slot *s, u32 result);
extern const struct slot_regs fake_regs;
void slots_plug(unsigned i, u64 address, u64 size, u32 id);
void slots_ask_for(unsigned i);
/* The same, and the driver looks at all slots. */
void slots_insert(unsigned i, u64 address, u64 size, u32 id);
void slots_eject(unsigned i);

/* ---- a pretended user ---- */

int fake_take(void *arg, const struct slot_device *dev, const char **why);
int fake_give(void *arg, const struct slot_device *dev, const char **why);
void slots_begin(enum slot_kind kind);
void expect_told(struct ktest *t, unsigned i, u32 event, u32 result);

#endif
