/* SPDX-License-Identifier: MIT */
/*
 * slots_help.h: a block of slots whose registers are pretended, and a user of what is in them that is too; for
 * the suites about slots.
 */
#ifndef QUARRY_TESTS_SLOTS_HELP_H
#define QUARRY_TESTS_SLOTS_HELP_H

#include "tests/add_help.h"

#include <quarry/acpi_slots.h>

#define NR 4u

/* ---- a device that is pretended ---- */

enum { ENABLED = 1, INSERT = 2, REMOVE = 4, EJECT = 8 };

static struct fake {
	enum slot_kind kind;
	u32 chosen, command, ost_event;
	struct fake_slot {
		u32 status;
		struct slot_device dev;
		u32 event, result;  /* the last the host was told */
		unsigned told;      /* how often */
		unsigned ejected;
	} slot[NR];
	bool deaf;           /* acknowledging changes nothing */
	bool holds_on;       /* nor does ejecting */
	u32 next;            /* id of what comes into a slot as soon as it is empty; 0: nothing does */
	bool silent;         /* every register reads as ones */
	unsigned switched;   /* writes of the word that ends the old layout */
	unsigned wrong;      /* accesses that the layout does not have */
	int refuses;         /* what the user says; 0: it does what it is asked */
	u32 taken, given;    /* ids that the user was asked for last */
} fake;

static struct slot_bank bank;

static inline unsigned status_at(void)
{
	return fake.kind == SLOT_CPU ? 4 : 0x14;
}

static inline u32 fake_read(void *arg, unsigned offset, unsigned bytes)
{
	const struct fake_slot *s = &fake.slot[fake.chosen % NR];

	if (fake.silent)
		return bytes == 1 ? 0xff : ~0u;
	if (fake.chosen >= NR)
		return 0;
	if (offset == status_at() && bytes == 1)
		return s->status;
	if (fake.kind == SLOT_CPU && offset == 8 && bytes == 4 && fake.command == 3)
		return s->dev.id;
	if (fake.kind == SLOT_MEMORY && bytes == 4) {
		switch (offset) {
		case 0x0: return (u32)s->dev.address;
		case 0x4: return (u32)(s->dev.address >> 32);
		case 0x8: return (u32)s->dev.size;
		case 0xc: return (u32)(s->dev.size >> 32);
		case 0x10: return s->dev.id;
		default: break;
		}
	}
	fake.wrong++;
	return 0;
}

static inline void told(struct fake_slot *s, u32 result)
{
	s->event = fake.ost_event;
	s->result = result;
	s->told++;
}

/* As QEMU: of several bits in one write only the lowest counts. */
static inline void write_status(struct fake_slot *s, u32 value)
{
	value &= INSERT | REMOVE | EJECT;
	value &= ~value + 1;
	if (!fake.deaf)
		s->status &= ~(value & (INSERT | REMOVE));
	if (!(value & EJECT))
		return;
	s->ejected++;
	if (fake.holds_on)
		return;
	s->status = fake.next ? ENABLED | INSERT : s->status & ~(u32)ENABLED;
	s->dev.id = fake.next ? fake.next : s->dev.id;
	fake.next = 0;
}

static inline void fake_write(void *arg, unsigned offset, unsigned bytes, u32 value)
{
	struct fake_slot *s = &fake.slot[fake.chosen % NR];
	bool cpu = fake.kind == SLOT_CPU;

	if (offset == 0 && bytes == 4) {
		fake.chosen = value;
		fake.switched += cpu && value == 0;
	} else if (fake.chosen >= NR) {
		return;
	} else if (offset == status_at() && bytes == 1) {
		write_status(s, value);
	} else if (cpu && offset == 5 && bytes == 1) {
		fake.command = value;
	} else if (cpu && offset == 8 && bytes == 4 && fake.command == 1) {
		fake.ost_event = value;
	} else if (cpu && offset == 8 && bytes == 4 && fake.command == 2) {
		told(s, value);
	} else if (!cpu && offset == 4 && bytes == 4) {
		fake.ost_event = value;
	} else if (!cpu && offset == 8 && bytes == 4) {
		told(s, value);
	} else {
		fake.wrong++;
	}
}

static const struct slot_regs fake_regs = {.read = fake_read, .write = fake_write};

static inline void plug(unsigned i, u64 address, u64 size, u32 id)
{
	fake.slot[i].dev = (struct slot_device){address, size, id};
	fake.slot[i].status = ENABLED | INSERT;
}

static inline void ask_for(unsigned i)
{
	fake.slot[i].status |= REMOVE;
}

/* ---- a user that is pretended ---- */

static inline int fake_take(void *arg, const struct slot_device *dev, const char **why)
{
	fake.taken = dev->id;
	*why = "test";
	return fake.refuses;
}

static inline int fake_give(void *arg, const struct slot_device *dev, const char **why)
{
	fake.given = dev->id;
	*why = "test";
	return fake.refuses;
}

static inline void begin(enum slot_kind kind)
{
	const struct slot_user user = {.take = fake_take, .give = fake_give};

	memset(&fake, 0, sizeof(fake));
	fake.kind = kind;
	fake.chosen = ~0u;
	fake.taken = fake.given = ~0u;
	slot_bank_init(&bank, kind, &fake_regs, &user, NR);
}

static inline void expect_told(struct ktest *t, unsigned i, u32 event, u32 result)
{
	EXPECT_EQ(t, fake.slot[i].event, event);
	EXPECT_EQ(t, fake.slot[i].result, result);
}

#endif
