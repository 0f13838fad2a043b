/* SPDX-License-Identifier: MIT */
/* slots_help.c: see slots_help.h. */
#include "tests/lib/slots_help.h"

/* ---- a pretended device ---- */

struct fake_slots fake_slots;

struct slot_bank slots_bank;

static unsigned status_at(void)
{
	return fake_slots.kind == SLOT_CPU ? 4 : 0x14;
}

static u32 fake_read(void *arg, unsigned offset, unsigned bytes)
{
	const struct fake_slot *s = &fake_slots.slot[fake_slots.chosen % NR];

	if (fake_slots.silent)
		return bytes == 1 ? 0xff : ~0u;
	if (fake_slots.chosen >= NR)
		return 0;
	if (offset == status_at() && bytes == 1)
		return s->status;
	if (fake_slots.kind == SLOT_CPU && offset == 8 && bytes == 4 && fake_slots.command == 3)
		return s->dev.id;
	if (fake_slots.kind == SLOT_MEMORY && bytes == 4) {
		switch (offset) {
		case 0x0: return (u32)s->dev.address;
		case 0x4: return (u32)(s->dev.address >> 32);
		case 0x8: return (u32)s->dev.size;
		case 0xc: return (u32)(s->dev.size >> 32);
		case 0x10: return s->dev.id;
		default: break;
		}
	}
	fake_slots.wrong++;
	return 0;
}

void told(struct fake_slot *s, u32 result)
{
	s->event = fake_slots.ost_event;
	s->result = result;
	s->told++;
}

/* As in QEMU, of several bits in one write only the lowest has an effect. */
static void write_status(struct fake_slot *s, u32 value)
{
	value &= INSERT | REMOVE | EJECT;
	value &= ~value + 1;
	if (!fake_slots.deaf)
		s->status &= ~(value & (INSERT | REMOVE));
	if (!(value & EJECT))
		return;
	s->ejected++;
	if (fake_slots.holds_on)
		return;
	s->status = fake_slots.next ? ENABLED | INSERT : s->status & ~(u32)ENABLED;
	s->dev.id = fake_slots.next ? fake_slots.next : s->dev.id;
	fake_slots.next = 0;
}

static void fake_write(void *arg, unsigned offset, unsigned bytes, u32 value)
{
	struct fake_slot *s = &fake_slots.slot[fake_slots.chosen % NR];
	bool cpu = fake_slots.kind == SLOT_CPU;

	if (offset == 0 && bytes == 4) {
		fake_slots.chosen = value;
		fake_slots.switched += cpu && value == 0;
	} else if (fake_slots.chosen >= NR) {
		return;
	} else if (offset == status_at() && bytes == 1) {
		write_status(s, value);
	} else if (cpu && offset == 5 && bytes == 1) {
		fake_slots.command = value;
	} else if (cpu && offset == 8 && bytes == 4 && fake_slots.command == 1) {
		fake_slots.ost_event = value;
	} else if (cpu && offset == 8 && bytes == 4 && fake_slots.command == 2) {
		told(s, value);
	} else if (!cpu && offset == 4 && bytes == 4) {
		fake_slots.ost_event = value;
	} else if (!cpu && offset == 8 && bytes == 4) {
		told(s, value);
	} else {
		fake_slots.wrong++;
	}
}

const struct slot_regs fake_regs = {.read = fake_read, .write = fake_write};

void slots_plug(unsigned i, u64 address, u64 size, u32 id)
{
	fake_slots.slot[i].dev = (struct slot_device){address, size, id};
	fake_slots.slot[i].status = ENABLED | INSERT;
}

void slots_ask_for(unsigned i)
{
	fake_slots.slot[i].status |= REMOVE;
}

void slots_insert(unsigned i, u64 address, u64 size, u32 id)
{
	slots_plug(i, address, size, id);
	slot_bank_scan(&slots_bank);
}

void slots_eject(unsigned i)
{
	slots_ask_for(i);
	slot_bank_scan(&slots_bank);
}

/* ---- a pretended user ---- */

int fake_take(void *arg, const struct slot_device *dev, const char **why)
{
	fake_slots.taken = dev->id;
	*why = "test";
	return fake_slots.refuses;
}

int fake_give(void *arg, const struct slot_device *dev, const char **why)
{
	fake_slots.given = dev->id;
	*why = "test";
	return fake_slots.refuses;
}

void slots_begin(enum slot_kind kind)
{
	const struct slot_user user = {.take = fake_take, .give = fake_give};

	memset(&fake_slots, 0, sizeof(fake_slots));
	fake_slots.kind = kind;
	fake_slots.chosen = ~0u;
	fake_slots.taken = fake_slots.given = ~0u;
	slot_bank_init(&slots_bank, kind, &fake_regs, &user, NR);
}

void expect_told(struct ktest *t, unsigned i, u32 event, u32 result)
{
	EXPECT_EQ(t, fake_slots.slot[i].event, event);
	EXPECT_EQ(t, fake_slots.slot[i].result, result);
}
