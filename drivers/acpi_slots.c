/* SPDX-License-Identifier: MIT */
/*
 * acpi_slots.c: handles the events of slots of CPUs and memory, through the slots' registers.
 *
 * Owns:       struct slot_bank; the devices' memory and CPUs belong to the bank's user.
 * Locks:      none: one thread scans, and no other code uses the registers.
 * Invariants: an event is acknowledged before it is handled, so a new event meanwhile is not lost.
 *             No device in use is ejected: give() comes first, and if it fails nothing has changed.
 *             A scan ends for any content of the registers: it visits each slot once.
 * Tests:      acpi_slots, tests/qemu/test_slots.py.
 */
#include <quarry/acpi_slots.h>
#include <quarry/errname.h>
#include <quarry/errno.h>

/* Bits of the status register; some have another meaning when written. */
#define ENABLED       0x1u
#define INSERT        0x2u /* when written: acknowledge the event */
#define REMOVE        0x4u
#define EJECT         0x8u  /* only written */
#define NOTHING_THERE 0xffu /* read from a port without a device */

#define SELECT 0x0u /* selects a slot, in banks of both kinds; only written */

#define MEM_ADDRESS_LOW  0x0u
#define MEM_ADDRESS_HIGH 0x4u
#define MEM_SIZE_LOW     0x8u
#define MEM_SIZE_HIGH    0xcu
#define MEM_DOMAIN       0x10u
#define MEM_STATUS       0x14u
#define MEM_OST_EVENT    0x4u /* only written */
#define MEM_OST_STATUS   0x8u

#define CPU_STATUS     0x4u
#define CPU_COMMAND    0x5u
#define CPU_DATA       0x8u
#define CMD_OST_EVENT  1u
#define CMD_OST_STATUS 2u
#define CMD_APIC_ID    3u

/* Values reported to the host: _OST of the ACPI specification 6.4, 6.3.5. */
#define OST_INSERT 1u
#define OST_EJECT  3u
#define OST_DONE   0u
#define OST_FAILED 1u
#define OST_BUSY   0x82u

static u32 bank_get(const struct slot_bank *bank, unsigned offset, unsigned bytes)
{
	return bank->regs.read(bank->regs.arg, offset, bytes);
}

static void bank_put(const struct slot_bank *bank, unsigned offset, unsigned bytes, u32 value)
{
	bank->regs.write(bank->regs.arg, offset, bytes, value);
}

static unsigned status_reg(const struct slot_bank *bank)
{
	return bank->kind == SLOT_CPU ? CPU_STATUS : MEM_STATUS;
}

static void choose(const struct slot_bank *bank, unsigned i)
{
	bank_put(bank, SELECT, 4, i);
}

static u32 status_of(const struct slot_bank *bank)
{
	return bank_get(bank, status_reg(bank), 1);
}

static struct slot_device device_of(const struct slot_bank *bank)
{
	struct slot_device dev = {0, 0, 0};

	if (bank->kind == SLOT_CPU) {
		bank_put(bank, CPU_COMMAND, 1, CMD_APIC_ID);
		dev.id = bank_get(bank, CPU_DATA, 4);
		return dev;
	}
	dev.address =
	    bank_get(bank, MEM_ADDRESS_LOW, 4) | (u64)bank_get(bank, MEM_ADDRESS_HIGH, 4) << 32;
	dev.size = bank_get(bank, MEM_SIZE_LOW, 4) | (u64)bank_get(bank, MEM_SIZE_HIGH, 4) << 32;
	dev.id = bank_get(bank, MEM_DOMAIN, 4);
	return dev;
}

static void tell_host(const struct slot_bank *bank, unsigned i, u32 event, u32 status)
{
	choose(bank, i);
	if (bank->kind == SLOT_CPU) {
		bank_put(bank, CPU_COMMAND, 1, CMD_OST_EVENT);
		bank_put(bank, CPU_DATA, 4, event);
		bank_put(bank, CPU_COMMAND, 1, CMD_OST_STATUS);
		bank_put(bank, CPU_DATA, 4, status);
	} else {
		bank_put(bank, MEM_OST_EVENT, 4, event);
		bank_put(bank, MEM_OST_STATUS, 4, status);
	}
}

/* The report of a refused removal: could the same request succeed later? */
static u32 ost_of(int err)
{
	switch (err) {
	case -EBUSY:
	case -ENOMEM:
	case -ETIMEDOUT:
	case -EINTR:
	case -EAGAIN: return OST_BUSY;
	default: return OST_FAILED;
	}
}

/* Print the beginning of a line about slot @i. */
static void say_which(const struct slot_bank *bank, unsigned i, const char *text)
{
	const struct slot_device *dev = &bank->slot[i].dev;

	if (bank->kind == SLOT_CPU)
		printk("slots: CPU slot %u, APIC id %u: %s", i, dev->id, text);
	else
		printk("slots: DIMM slot %u, %llu MiB at %#llx, domain %u: %s", i,
		    (unsigned long long)dev->size >> 20, (unsigned long long)dev->address, dev->id,
		    text);
}

static void is_odd(struct slot_bank *bank, unsigned i, const char *what)
{
	bank->odd++;
	printk("slots: %s slot %u %s\n", bank->kind == SLOT_CPU ? "CPU" : "DIMM", i, what);
}

static void slot_refuse(struct slot_bank *bank, unsigned i, u32 event, int err, const char *why)
{
	struct slot *slot = &bank->slot[i];

	bank->refused++;
	slot->err = err;
	slot->why = why;
	say_which(bank, i, event == OST_EJECT ? "cannot leave" : "not taken");
	printk("\nslots:   error %s: %s\n", errno_name(err), why);
	tell_host(bank, i, event, event == OST_EJECT ? ost_of(err) : OST_FAILED);
}

/* @again: the device was refused before, and its memory may have been added by hand meanwhile. */
static void arrive(struct slot_bank *bank, unsigned i, bool again)
{
	struct slot *slot = &bank->slot[i];
	const char *why = "refused";
	int err;

	slot->dev = device_of(bank);
	err = bank->user.take(bank->user.arg, &slot->dev, &why);
	if (again && err && err != -EALREADY && err != -EEXIST) /* the host knows */
		return;
	slot->err = 0;
	slot->why = NULL;
	slot->lacks = slot->lacks && again;
	if (err == -EALREADY) {
		slot->state = SLOT_USED;
	} else if (err) {
		slot->foreign =
		    err == -EEXIST && !again && (slot->state == SLOT_EMPTY || slot->foreign);
		slot->state = SLOT_REFUSED;
		slot->lacks |= err == -ENOMEM;
		slot_refuse(bank, i, OST_INSERT, err, why);
	} else {
		slot->state = SLOT_USED;
		bank->taken++;
		say_which(bank, i, "in use\n");
		tell_host(bank, i, OST_INSERT, OST_DONE);
	}
}

/* Is a device in use by hand? */
static bool used_by_hand(const struct slot_bank *bank, const struct slot *slot)
{
	const struct slot_user *user = &bank->user;

	return slot->state == SLOT_REFUSED && user->used && user->used(user->arg, &slot->dev);
}

/* A device has gone, and perhaps all that others had at the addresses of a refused one. */
static void look_for_owners(struct slot_bank *bank)
{
	unsigned i;

	for (i = 0; i < bank->nr; i++)
		if (bank->slot[i].foreign && !used_by_hand(bank, &bank->slot[i]))
			bank->slot[i].foreign = false;
}

/* Must the slot's device be given back before it is ejected? */
static bool in_use(const struct slot_bank *bank, const struct slot *slot)
{
	return slot->state == SLOT_USED || (!slot->foreign && used_by_hand(bank, slot));
}

static void depart(struct slot_bank *bank, unsigned i)
{
	struct slot *slot = &bank->slot[i];
	const char *why = "refused";
	int err = 0;

	if (in_use(bank, slot))
		err = bank->user.give(bank->user.arg, &slot->dev, &why);
	if (err) {
		slot_refuse(bank, i, OST_EJECT, err, why);
		return;
	}
	choose(bank, i);
	bank_put(bank, status_reg(bank), 1, EJECT);
	/*
	 * If INSERT is set, this is the slot's next device, whose own event will be handled later.
	 */
	if ((status_of(bank) & (ENABLED | INSERT)) == ENABLED) {
		is_odd(bank, i, "was told to eject and did not: the device is used again");
		tell_host(bank, i, OST_EJECT, OST_FAILED);
		choose(bank, i);
		arrive(bank, i, false);
		return;
	}
	slot->state = SLOT_EMPTY;
	bank->given++;
	look_for_owners(bank);
	say_which(bank, i, "gone\n");
}

static bool lacks_memory(const struct slot *slot)
{
	return slot->state == SLOT_REFUSED && slot->lacks;
}

bool slot_bank_lacks_memory(const struct slot_bank *bank)
{
	unsigned i;

	for (i = 0; i < bank->nr; i++)
		if (lacks_memory(&bank->slot[i]))
			return true;
	return false;
}

/* May a device be tried again that was refused for lack of memory? */
static bool may_be_tried_again(const struct slot_bank *bank, const struct slot *slot)
{
	const struct slot_user *user = &bank->user;

	return lacks_memory(slot) && user->again && user->again(user->arg, &slot->dev);
}

static void look_at_slot(struct slot_bank *bank, unsigned i)
{
	struct slot *slot = &bank->slot[i];
	u32 status;

	choose(bank, i);
	status = status_of(bank);
	if (status == NOTHING_THERE) {
		is_odd(bank, i, "does not answer");
		return;
	}
	/* One write for each bit: QEMU handles only the lowest bit of a write. */
	if (status & INSERT)
		bank_put(bank, status_reg(bank), 1, INSERT);
	if (status & REMOVE)
		bank_put(bank, status_reg(bank), 1, REMOVE);
	if (!(status & ENABLED)) {
		if (status & (INSERT | REMOVE))
			is_odd(bank, i, "is empty, and has an event");
		if (slot->state == SLOT_USED)
			is_odd(bank, i, "is empty: the device that was in use is gone");
		slot->state = SLOT_EMPTY;
		return;
	}
	if (slot->state == SLOT_USED && status & INSERT)
		is_odd(bank, i, "reports a new device, but had one already");
	if (slot->state == SLOT_EMPTY || (slot->state == SLOT_REFUSED && status & INSERT))
		arrive(bank, i, false);
	else if (may_be_tried_again(bank, slot))
		arrive(bank, i, true);
	if (status & REMOVE)
		depart(bank, i);
}

void slot_bank_scan(struct slot_bank *bank)
{
	unsigned i;

	for (i = 0; i < bank->nr; i++)
		look_at_slot(bank, i);
}

void slot_bank_init(struct slot_bank *bank, enum slot_kind kind, const struct slot_regs *regs,
    const struct slot_user *user, unsigned nr)
{
	memset(bank, 0, sizeof(*bank));
	bank->kind = kind;
	bank->regs = *regs;
	bank->user = *user;
	bank->nr = MIN(nr, MAX_SLOTS);
	if (nr > MAX_SLOTS)
		printk("slots: of %u, %u are used\n", nr, MAX_SLOTS);
	/* The registers for CPUs start as a bitmap of CPUs; this write switches them to slots. */
	if (kind == SLOT_CPU)
		bank_put(bank, SELECT, 4, 0);
}

void show_slots(const struct slot_bank *bank)
{
	static const char *const text[] = {"empty", "in use", "not in use"};
	unsigned i, used = 0;

	for (i = 0; i < bank->nr; i++) {
		const struct slot *slot = &bank->slot[i];
		enum slot_state state = READ_ONCE(slot->state);

		used += state != SLOT_EMPTY;
		if (state == SLOT_EMPTY)
			continue;
		say_which(bank, i, text[state]);
		if (READ_ONCE(slot->err))
			printk("; last refused:\nslots:   error %s: %s", errno_name(slot->err),
			    slot->why);
		printk("\n");
	}
	printk("slots: %u of %u %s slots full; %u taken, %u given back, %u refused, %u odd\n", used,
	    bank->nr, bank->kind == SLOT_CPU ? "CPU" : "DIMM", bank->taken, bank->given,
	    bank->refused, bank->odd);
}

void show_slot_banks(const struct slot_bank *memory, const struct slot_bank *cpus)
{
	if (!memory->nr && !cpus->nr)
		printk("slots: none\n");
	if (memory->nr)
		show_slots(memory);
	if (cpus->nr)
		show_slots(cpus);
}
