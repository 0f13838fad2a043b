/* SPDX-License-Identifier: MIT */
/*
 * test_acpi_slots.c: the driver of slots, with pretended registers of working and broken devices.
 */
#include "tests/lib/slots_help.h"
#include "tests/lib/said_help.h"

/* ---- the registers ---- */

static void comes_and_goes(struct ktest *t, enum slot_kind kind)
{
	slots_begin(kind);
	EXPECT_EQ(t, fake_slots.switched, kind == SLOT_CPU);
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.taken + slots_bank.given + slots_bank.refused + slots_bank.odd, 0);
	slots_insert(2, 1ULL << 32, 2ULL << 32 | 1 << 21, 42);
	EXPECT_EQ(t, fake_slots.taken, 42);
	EXPECT_EQ(t, fake_slots.slot[2].status, ENABLED);
	EXPECT_EQ(t, slots_bank.slot[2].state, SLOT_USED);
	EXPECT_EQ(t, slots_bank.slot[2].dev.address, kind == SLOT_CPU ? 0 : 1ULL << 32);
	EXPECT_EQ(t, slots_bank.slot[2].dev.size, kind == SLOT_CPU ? 0 : 2ULL << 32 | 1 << 21);
	expect_told(t, 2, 1, 0);
	/* Without an event nothing happens. */
	fake_slots.taken = 0;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, fake_slots.taken, 0);
	EXPECT_EQ(t, fake_slots.slot[2].told, 1);
	slots_eject(2);
	EXPECT_EQ(t, fake_slots.given, 42);
	EXPECT_EQ(t, fake_slots.slot[2].status, 0);
	EXPECT_EQ(t, fake_slots.slot[2].ejected, 1);
	EXPECT_EQ(t, slots_bank.slot[2].state, SLOT_EMPTY);
	EXPECT_EQ(t, slots_bank.odd + slots_bank.refused + fake_slots.wrong, 0);
	EXPECT_EQ(t, slots_bank.taken, 1);
	EXPECT_EQ(t, slots_bank.given, 1);
	/* A second device in the slot is used too. */
	slots_insert(2, 1ULL << 32, 1 << 21, 43);
	EXPECT_EQ(t, fake_slots.taken, 43);
	EXPECT_EQ(t, slots_bank.taken, 2);
}

KTEST_SUITE(acpi_slots, KTEST_QUICK);

KTEST(inserted_device_is_used_and_ejected_on_request,
    .says = "slots: DIMM slot 2, 8194 MiB at 0x100000000, domain 42: in use\n"
            "slots: DIMM slot 2, 8194 MiB at 0x100000000, domain 42: gone\n"
            "slots: DIMM slot 2, 2 MiB at 0x100000000, domain 43: in use\n"
            "slots: CPU slot 2, APIC id 42: in use\n"
            "slots: CPU slot 2, APIC id 42: gone\n"
            "slots: CPU slot 2, APIC id 43: in use\n")
{
	comes_and_goes(t, SLOT_MEMORY);
	comes_and_goes(t, SLOT_CPU);
}

KTEST(device_present_at_start_is_used, .says = "slots: CPU slot 0, APIC id 5: gone\n")
{
	slots_begin(SLOT_CPU);
	slots_plug(0, 0, 0, 5);
	fake_slots.slot[0].status = ENABLED; /* no event: it was there at boot */
	fake_slots.refuses = -EALREADY;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_USED);
	EXPECT_EQ(t, slots_bank.refused + slots_bank.taken, 0);
	EXPECT_EQ(t, fake_slots.slot[0].told, 0);
	fake_slots.refuses = 0;
	slots_eject(0);
	EXPECT_EQ(t, fake_slots.given, 5);
	EXPECT_EQ(t, fake_slots.slot[0].status, 0);
}

KTEST(refused_eject_keeps_the_device_and_tells_the_host,
    .says = "slots: DIMM slot 1, 2 MiB at 0, domain 1: in use\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 1: cannot leave\n"
            "slots:   error EBUSY: test\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 1: cannot leave\n"
            "slots:   error EINVAL: test\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 1: gone\n")
{
	slots_begin(SLOT_MEMORY);
	slots_insert(1, 0, 1 << 21, 1);
	fake_slots.refuses = -EBUSY;
	slots_eject(1);
	EXPECT_EQ(t, fake_slots.slot[1].status, ENABLED);
	EXPECT_EQ(t, fake_slots.slot[1].ejected, 0);
	EXPECT_EQ(t, slots_bank.slot[1].state, SLOT_USED);
	EXPECT_EQ(t, slots_bank.slot[1].err, -EBUSY);
	expect_told(t, 1, 3, 0x82);
	fake_slots.refuses = -EINVAL;
	slots_eject(1);
	expect_told(t, 1, 3, 1);
	fake_slots.refuses = 0;
	slots_eject(1);
	EXPECT_EQ(t, fake_slots.slot[1].status, 0);
	EXPECT_EQ(t, slots_bank.refused, 2);
	EXPECT_EQ(t, slots_bank.given, 1);
}

/* Inserted, and its ejection requested, before the first scan: the next device there stays. */
KTEST(eject_request_during_insertion_is_served,
    .says = "slots: DIMM slot 1, 2 MiB at 0, domain 1: in use\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 1: gone\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 2: in use\n")
{
	slots_begin(SLOT_MEMORY);
	slots_plug(1, 0, 1 << 21, 1);
	slots_eject(1);
	EXPECT_EQ(t, fake_slots.given, 1);
	EXPECT_EQ(t, fake_slots.slot[1].ejected, 1);
	EXPECT_EQ(t, fake_slots.slot[1].status, 0);
	fake_slots.slot[1].dev.id = 2;
	fake_slots.slot[1].status |= ENABLED | INSERT;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, fake_slots.taken, 2);
	EXPECT_EQ(t, fake_slots.given, 1);
	EXPECT_EQ(t, fake_slots.slot[1].status, ENABLED);
	EXPECT_EQ(t, slots_bank.odd, 0);
}

/* The device that was taken is given back, whatever the registers say later. */
KTEST(device_that_changes_its_id_is_given_back_by_the_old_one,
    .says = "slots: CPU slot 1, APIC id 1: in use\n"
            "slots: CPU slot 1, APIC id 1: gone\n")
{
	slots_begin(SLOT_CPU);
	slots_insert(1, 0, 0, 1);
	EXPECT_EQ(t, fake_slots.taken, 1);
	fake_slots.slot[1].dev.id = 9;
	slots_eject(1);
	EXPECT_EQ(t, fake_slots.given, 1);
}

/* The host fills the slot between the eject and the kernel's check of the result. */
KTEST(slot_filled_right_after_an_eject_is_used,
    .says = "slots: DIMM slot 1, 2 MiB at 0, domain 1: in use\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 1: gone\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 2: in use\n"
            "slots: CPU slot 1, APIC id 1: in use\n"
            "slots: CPU slot 1, APIC id 1: gone\n"
            "slots: CPU slot 1, APIC id 2: in use\n")
{
	unsigned kind;

	for (kind = SLOT_MEMORY; kind <= SLOT_CPU; kind++) {
		slots_begin((enum slot_kind)kind);
		slots_insert(1, 0, 1 << 21, 1);
		fake_slots.next = 2;
		slots_eject(1);
		EXPECT_EQ(t, fake_slots.given, 1);
		EXPECT_EQ(t, slots_bank.given, 1);
		EXPECT_EQ(t, slots_bank.slot[1].state, SLOT_EMPTY);
		/* The host saw the eject, so it gets no report. */
		EXPECT_EQ(t, fake_slots.slot[1].told, 1);
		slot_bank_scan(&slots_bank);
		EXPECT_EQ(t, fake_slots.taken, 2);
		EXPECT_EQ(t, slots_bank.taken, 2);
		EXPECT_EQ(t, slots_bank.slot[1].state, SLOT_USED);
		EXPECT_EQ(t, slots_bank.slot[1].dev.id, 2);
		EXPECT_EQ(t, fake_slots.slot[1].status, ENABLED);
		expect_told(t, 1, 1, 0);
		EXPECT_EQ(t, slots_bank.odd + slots_bank.refused + fake_slots.wrong, 0);
	}
}

/* The slot's user is not asked before an unused device is ejected. */
KTEST(unused_device_may_be_ejected,
    .says = "slots: DIMM slot 3, 2 MiB at 0, domain 1: not taken\n"
            "slots:   error ENOMEM: test\n"
            "slots: DIMM slot 3, 2 MiB at 0, domain 1: gone\n")
{
	slots_begin(SLOT_MEMORY);
	fake_slots.refuses = -ENOMEM;
	slots_insert(3, 0, 1 << 21, 1);
	EXPECT_EQ(t, slots_bank.slot[3].state, SLOT_REFUSED);
	expect_told(t, 3, 1, 1);
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, fake_slots.slot[3].told, 1);
	slots_eject(3);
	EXPECT_EQ(t, fake_slots.given, ~0u);
	EXPECT_EQ(t, fake_slots.slot[3].ejected, 1);
	EXPECT_EQ(t, slots_bank.slot[3].state, SLOT_EMPTY);
}

/* ---- broken devices ---- */

KTEST(events_of_empty_slots_do_nothing,
    .says = "slots: DIMM slot 0 is empty, and has an event\n"
            "slots: DIMM slot 1 is empty, and has an event\n")
{
	slots_begin(SLOT_MEMORY);
	fake_slots.slot[0].status = INSERT;
	fake_slots.slot[1].status = REMOVE;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.odd, 2);
	EXPECT_EQ(t, fake_slots.slot[0].status + fake_slots.slot[1].status, 0);
	EXPECT(t, fake_slots.taken == ~0u && fake_slots.given == ~0u);
	EXPECT_EQ(t, fake_slots.slot[1].ejected, 0);
}

/* The host is told that the eject did nothing, and that the device is used again. */
KTEST(device_that_fails_to_eject_is_used_again,
    .says = "slots: DIMM slot 1, 2 MiB at 0, domain 9: in use\n"
            "slots: DIMM slot 1 was told to eject and did not: the device is used again\n"
            "slots: DIMM slot 1, 2 MiB at 0, domain 9: in use\n"
            "slots: CPU slot 1, APIC id 9: in use\n"
            "slots: CPU slot 1 was told to eject and did not: the device is used again\n"
            "slots: CPU slot 1, APIC id 9: in use\n")
{
	for (unsigned kind = SLOT_MEMORY; kind <= SLOT_CPU; kind++) {
		slots_begin((enum slot_kind)kind);
		slots_insert(1, 0, 1 << 21, 9);
		fake_slots.holds_on = true;
		fake_slots.taken = 0;
		slots_eject(1);
		EXPECT_EQ(t, fake_slots.given, 9);
		EXPECT_EQ(t, fake_slots.taken, 9);
		EXPECT_EQ(t, slots_bank.slot[1].state, SLOT_USED);
		EXPECT_EQ(t, slots_bank.slot[1].dev.id, 9);
		EXPECT_EQ(t, fake_slots.slot[1].ejected, 1);
		EXPECT_EQ(t, fake_slots.slot[1].told, 3);
		expect_told(t, 1, 1, 0);
		EXPECT_EQ(t, slots_bank.taken, 2);
		EXPECT_EQ(t, slots_bank.odd, 1);
		EXPECT_EQ(t, slots_bank.given + fake_slots.wrong, 0);
	}
}

KTEST_COST(endless_events_are_handled_once_a_scan,
    .says = "slots: DIMM slot 0, 2 MiB at 0, domain 1: in use\n"
            "slots: DIMM slot 0 reports a new device, but had one already\n")
{
	slots_begin(SLOT_MEMORY);
	fake_slots.deaf = true;
	slots_insert(0, 0, 1 << 21, 1);
	EXPECT_EQ(t, slots_bank.taken, 1);
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.taken, 1);
	EXPECT_EQ(t, slots_bank.odd, 1);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_USED);
}

KTEST(absent_slot_registers_show_no_device,
    .says = "slots: DIMM slot 0 does not answer\n"
            "slots: DIMM slot 1 does not answer\n"
            "slots: DIMM slot 2 does not answer\n"
            "slots: DIMM slot 3 does not answer\n")
{
	slots_begin(SLOT_MEMORY);
	fake_slots.silent = true;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.odd, NR);
	EXPECT_EQ(t, slots_bank.taken, 0);
	EXPECT(t, fake_slots.taken == ~0u);
}

KTEST(surprise_removal_is_noticed,
    .says = "slots: CPU slot 2, APIC id 3: in use\n"
            "slots: CPU slot 2 is empty: the device that was in use is gone\n")
{
	slots_begin(SLOT_CPU);
	slots_insert(2, 0, 0, 3);
	fake_slots.slot[2].status = 0;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.odd, 1);
	EXPECT_EQ(t, slots_bank.slot[2].state, SLOT_EMPTY);
}

KTEST(slots_beyond_the_limit_are_ignored,
    .says = "slots: of 4294967295, 256 are used\n"
            "slots: DIMM slot 3, 2 MiB at 0, domain 4: in use\n")
{
	const struct slot_user user = {.take = fake_take, .give = fake_give};

	slots_begin(SLOT_MEMORY);
	slot_bank_init(&slots_bank, SLOT_MEMORY, &fake_regs, &user, ~0u);
	EXPECT_EQ(t, slots_bank.nr, MAX_SLOTS);
	slots_insert(3, 0, 1 << 21, 4);
	EXPECT_EQ(t, slots_bank.taken, 1);
	EXPECT_EQ(t, slots_bank.odd, 0);
}

static void expect_shown(struct ktest *t, const char *words)
{
	u64 pos = log_position();

	show_slots(&slots_bank);
	if (!said(pos, words))
		ktest_fail(t, __FILE__, __LINE__, "not shown: %s", words);
}

#define ERROR(name)       "slots:   error " name ": test\n"
#define DIMM_7(slot, how) "slots: DIMM slot " slot ", 2 MiB at 0x100000000, domain 7: " how "\n"
#define CPU_7(slot, how)  "slots: CPU slot " slot ", APIC id 7: " how "\n"
#define AFTER_EACH(what)                                                                           \
	what ERROR("EBUSY") what ERROR("ETIMEDOUT") what ERROR("EINTR") what ERROR("EAGAIN")       \
	    what ERROR("EINVAL") what ERROR("EIO") what ERROR("ENOMEM")
#define REFUSALS(what)                                                                             \
	what("1", "in use") AFTER_EACH(what("1", "cannot leave")) what("1", "cannot leave")        \
	    ERROR("EALREADY") AFTER_EACH(what("2", "not taken"))

static const char all_refusals[] = REFUSALS(DIMM_7) REFUSALS(CPU_7);

KTEST(host_learns_whether_to_retry, .says = all_refusals)
{
	static const struct {
		int err;
		u32 told;
	} refusals[] = {{-EBUSY, 0x82}, {-ETIMEDOUT, 0x82}, {-EINTR, 0x82}, {-EAGAIN, 0x82},
	    {-EINVAL, 1}, {-EIO, 1}, {-ENOMEM, 0x82}, {-EALREADY, 1}};
	unsigned kind, i;

	for (kind = SLOT_MEMORY; kind <= SLOT_CPU; kind++) {
		slots_begin((enum slot_kind)kind);
		slots_insert(1, 1ULL << 32, 1 << 21, 7);
		for (i = 0; i < ARRAY_SIZE(refusals); i++) {
			fake_slots.refuses = refusals[i].err;
			slots_eject(1);
			expect_told(t, 1, 3, refusals[i].told);
			EXPECT_EQ(t, fake_slots.slot[1].told, i + 2);
			EXPECT_EQ(t, slots_bank.slot[1].err, refusals[i].err);
			EXPECT_EQ(t, slots_bank.refused, i + 1);
			EXPECT(
			    t, slots_bank.slot[1].why && !strcmp(slots_bank.slot[1].why, "test"));
		}
		/* Every insertion is refused. */
		for (i = 0; i < ARRAY_SIZE(refusals) - 1; i++) {
			slots_begin((enum slot_kind)kind);
			slots_plug(2, 1ULL << 32, 1 << 21, 7);
			fake_slots.refuses = refusals[i].err;
			slot_bank_scan(&slots_bank);
			expect_told(t, 2, 1, 1);
			EXPECT_EQ(t, fake_slots.slot[2].told, 1);
			EXPECT_EQ(t, slots_bank.slot[2].state, SLOT_REFUSED);
			EXPECT_EQ(t, fake_slots.wrong, 0);
		}
	}
}

KTEST(slots_are_shown_with_their_state,
    .says = "slots: 0 of 4 DIMM slots full; 0 taken, 0 given back, 0 refused, 0 odd\n"
            "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: not taken\n"
            "slots:   error ENOMEM: test\n"
            "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: not in use; last refused:\n"
            "slots:   error ENOMEM: test\n"
            "slots: 1 of 4 DIMM slots full; 0 taken, 0 given back, 1 refused, 0 odd\n"
            "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: in use\n"
            "slots: DIMM slot 3, 2 MiB at 0x200000000, domain 0: in use\n"
            "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: in use\n"
            "slots: DIMM slot 3, 2 MiB at 0x200000000, domain 0: in use\n"
            "slots: 2 of 4 DIMM slots full; 2 taken, 0 given back, 1 refused, 0 odd\n"
            "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: gone\n"
            "slots: DIMM slot 3, 2 MiB at 0x200000000, domain 0: in use\n"
            "slots: 1 of 4 DIMM slots full; 2 taken, 1 given back, 1 refused, 0 odd\n"
            "slots: CPU slot 0, APIC id 9: not taken\n"
            "slots:   error EIO: test\n"
            "slots: CPU slot 0, APIC id 9: not in use; last refused:\n"
            "slots:   error EIO: test\n"
            "slots: 1 of 4 CPU slots full; 0 taken, 0 given back, 1 refused, 0 odd\n"
            "slots: 0 of 4 CPU slots full; 0 taken, 0 given back, 1 refused, 0 odd\n")
{
	slots_begin(SLOT_MEMORY);
	expect_shown(t, "slots: 0 of 4 DIMM slots full; 0 taken, 0 given back, 0 refused, 0 odd\n");
	fake_slots.refuses = -ENOMEM;
	slots_insert(1, 1ULL << 32, 2ULL << 21, 7);
	expect_shown(t,
	    "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: not in use; last refused:\n"
	    "slots:   error ENOMEM: test\n"
	    "slots: 1 of 4 DIMM slots full; 0 taken, 0 given back, 1 refused, 0 odd\n");
	/* A device whose insertion is signalled again is tried again. */
	fake_slots.slot[1].status |= INSERT;
	fake_slots.refuses = 0;
	slot_bank_scan(&slots_bank);
	EXPECT(t, slots_bank.slot[1].err == 0 && !slots_bank.slot[1].why && slots_bank.odd == 0);
	expect_told(t, 1, 1, 0);
	slots_insert(3, 2ULL << 32, 1 << 21, 0);
	expect_shown(t,
	    "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: in use\n"
	    "slots: DIMM slot 3, 2 MiB at 0x200000000, domain 0: in use\n"
	    "slots: 2 of 4 DIMM slots full; 2 taken, 0 given back, 1 refused, 0 odd\n");
	slots_eject(1);
	expect_shown(t, "slots: 1 of 4 DIMM slots full; 2 taken, 1 given back, 1 refused, 0 odd\n");
	/* A refused CPU that was removed from its bank is not reported as odd. */
	slots_begin(SLOT_CPU);
	fake_slots.refuses = -EIO;
	slots_insert(0, 0, 0, 9);
	expect_shown(t,
	    "slots: CPU slot 0, APIC id 9: not in use; last refused:\n"
	    "slots:   error EIO: test\n"
	    "slots: 1 of 4 CPU slots full; 0 taken, 0 given back, 1 refused, 0 odd\n");
	fake_slots.slot[0].status = 0;
	slot_bank_scan(&slots_bank);
	EXPECT_EQ(t, slots_bank.slot[0].state, SLOT_EMPTY);
	expect_shown(t, "slots: 0 of 4 CPU slots full; 0 taken, 0 given back, 1 refused, 0 odd\n");
}
