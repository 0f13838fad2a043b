/* SPDX-License-Identifier: MIT */
/*
 * test_acpi_slots.c: slots against registers that are pretended: what a sound device does, and what a broken one
 * may say.
 */
#include "tests/slots_help.h"
#include "tests/said_help.h"

/* ---- the registers ---- */

static void comes_and_goes(struct ktest *t, enum slot_kind kind)
{
	begin(kind);
	EXPECT_EQ(t, fake.switched, kind == SLOT_CPU);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.taken + bank.given + bank.refused + bank.odd, 0);
	plug(2, 1ULL << 32, 2ULL << 32 | 1 << 21, 42);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.taken, 42);
	EXPECT_EQ(t, fake.slot[2].status, ENABLED);
	EXPECT_EQ(t, bank.slot[2].state, SLOT_USED);
	EXPECT_EQ(t, bank.slot[2].dev.address, kind == SLOT_CPU ? 0 : 1ULL << 32);
	EXPECT_EQ(t, bank.slot[2].dev.size, kind == SLOT_CPU ? 0 : 2ULL << 32 | 1 << 21);
	expect_told(t, 2, 1, 0);
	/* Nothing new: nothing happens. */
	fake.taken = 0;
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.taken, 0);
	EXPECT_EQ(t, fake.slot[2].told, 1);
	ask_for(2);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.given, 42);
	EXPECT_EQ(t, fake.slot[2].status, 0);
	EXPECT_EQ(t, fake.slot[2].ejected, 1);
	EXPECT_EQ(t, bank.slot[2].state, SLOT_EMPTY);
	EXPECT_EQ(t, bank.odd + bank.refused + fake.wrong, 0);
	EXPECT_EQ(t, bank.taken, 1);
	EXPECT_EQ(t, bank.given, 1);
	/* And again. */
	plug(2, 1ULL << 32, 1 << 21, 43);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.taken, 43);
	EXPECT_EQ(t, bank.taken, 2);
}

static void what_comes_is_used_and_what_is_asked_for_goes(struct ktest *t)
{
	comes_and_goes(t, SLOT_MEMORY);
	comes_and_goes(t, SLOT_CPU);
}

static void what_was_there_before_is_used(struct ktest *t)
{
	begin(SLOT_CPU);
	plug(0, 0, 0, 5);
	fake.slot[0].status = ENABLED; /* no event: it was there at boot */
	fake.refuses = -EALREADY;
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.slot[0].state, SLOT_USED);
	EXPECT_EQ(t, bank.refused + bank.taken, 0);
	EXPECT_EQ(t, fake.slot[0].told, 0);
	fake.refuses = 0;
	ask_for(0);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.given, 5);
	EXPECT_EQ(t, fake.slot[0].status, 0);
}

static void who_refuses_keeps_it_and_the_host_is_told(struct ktest *t)
{
	begin(SLOT_MEMORY);
	plug(1, 0, 1 << 21, 1);
	slot_bank_scan(&bank);
	fake.refuses = -EBUSY;
	ask_for(1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.slot[1].status, ENABLED);
	EXPECT_EQ(t, fake.slot[1].ejected, 0);
	EXPECT_EQ(t, bank.slot[1].state, SLOT_USED);
	EXPECT_EQ(t, bank.slot[1].err, -EBUSY);
	expect_told(t, 1, 3, 0x82);
	fake.refuses = -EINVAL;
	ask_for(1);
	slot_bank_scan(&bank);
	expect_told(t, 1, 3, 1);
	fake.refuses = 0;
	ask_for(1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.slot[1].status, 0);
	EXPECT_EQ(t, bank.refused, 2);
	EXPECT_EQ(t, bank.given, 1);
}

/* It came and was asked for before anybody looked; what comes into the slot after it is not asked for. */
static void what_comes_and_is_asked_for_at_once_goes(struct ktest *t)
{
	begin(SLOT_MEMORY);
	plug(1, 0, 1 << 21, 1);
	ask_for(1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.given, 1);
	EXPECT_EQ(t, fake.slot[1].ejected, 1);
	EXPECT_EQ(t, fake.slot[1].status, 0);
	fake.slot[1].dev.id = 2;
	fake.slot[1].status |= ENABLED | INSERT;
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.taken, 2);
	EXPECT_EQ(t, fake.given, 1);
	EXPECT_EQ(t, fake.slot[1].status, ENABLED);
	EXPECT_EQ(t, bank.odd, 0);
}

/* The host fills the slot between the eject and the kernel's look at what it did. */
static void what_comes_as_soon_as_the_slot_is_empty_is_used(struct ktest *t)
{
	unsigned kind;

	for (kind = SLOT_MEMORY; kind <= SLOT_CPU; kind++) {
		begin((enum slot_kind)kind);
		plug(1, 0, 1 << 21, 1);
		slot_bank_scan(&bank);
		fake.next = 2;
		ask_for(1);
		slot_bank_scan(&bank);
		EXPECT_EQ(t, fake.given, 1);
		EXPECT_EQ(t, bank.given, 1);
		EXPECT_EQ(t, bank.slot[1].state, SLOT_EMPTY);
		/* Of the eject the host is told nothing: it saw it. */
		EXPECT_EQ(t, fake.slot[1].told, 1);
		slot_bank_scan(&bank);
		EXPECT_EQ(t, fake.taken, 2);
		EXPECT_EQ(t, bank.taken, 2);
		EXPECT_EQ(t, bank.slot[1].state, SLOT_USED);
		EXPECT_EQ(t, bank.slot[1].dev.id, 2);
		EXPECT_EQ(t, fake.slot[1].status, ENABLED);
		expect_told(t, 1, 1, 0);
		EXPECT_EQ(t, bank.odd + bank.refused + fake.wrong, 0);
	}
}

/* What could not be used is nobody's to ask when it shall go. */
static void what_was_not_taken_may_go(struct ktest *t)
{
	begin(SLOT_MEMORY);
	fake.refuses = -ENOMEM;
	plug(3, 0, 1 << 21, 1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.slot[3].state, SLOT_REFUSED);
	expect_told(t, 3, 1, 1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.slot[3].told, 1);
	ask_for(3);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.given, ~0u);
	EXPECT_EQ(t, fake.slot[3].ejected, 1);
	EXPECT_EQ(t, bank.slot[3].state, SLOT_EMPTY);
}

/* ---- broken devices ---- */

static void events_of_empty_slots_do_nothing(struct ktest *t)
{
	begin(SLOT_MEMORY);
	fake.slot[0].status = INSERT;
	fake.slot[1].status = REMOVE;
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.odd, 2);
	EXPECT_EQ(t, fake.slot[0].status + fake.slot[1].status, 0);
	EXPECT(t, fake.taken == ~0u && fake.given == ~0u);
	EXPECT_EQ(t, fake.slot[1].ejected, 0);
}

static void a_device_that_does_not_let_go_is_used_again(struct ktest *t)
{
	begin(SLOT_CPU);
	plug(1, 0, 0, 9);
	slot_bank_scan(&bank);
	fake.holds_on = true;
	fake.taken = 0;
	ask_for(1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.given, 9);
	EXPECT_EQ(t, fake.taken, 9);
	EXPECT_EQ(t, bank.slot[1].state, SLOT_USED);
	EXPECT_EQ(t, bank.odd, 1);
	EXPECT_EQ(t, bank.given, 0);
}

static void events_that_do_not_end_are_looked_at_once_a_scan(struct ktest *t)
{
	begin(SLOT_MEMORY);
	fake.deaf = true;
	plug(0, 0, 1 << 21, 1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.taken, 1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.taken, 1);
	EXPECT_EQ(t, bank.odd, 1);
	EXPECT_EQ(t, bank.slot[0].state, SLOT_USED);
}

static void a_block_that_is_not_there_has_nothing_in_it(struct ktest *t)
{
	begin(SLOT_MEMORY);
	fake.silent = true;
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.odd, NR);
	EXPECT_EQ(t, bank.taken, 0);
	EXPECT(t, fake.taken == ~0u);
}

static void what_vanishes_is_noticed(struct ktest *t)
{
	begin(SLOT_CPU);
	plug(2, 0, 0, 3);
	slot_bank_scan(&bank);
	fake.slot[2].status = 0;
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.odd, 1);
	EXPECT_EQ(t, bank.slot[2].state, SLOT_EMPTY);
}

static void more_slots_than_there_is_room_for_are_left_alone(struct ktest *t)
{
	const struct slot_user user = {.take = fake_take, .give = fake_give};

	begin(SLOT_MEMORY);
	slot_bank_init(&bank, SLOT_MEMORY, &fake_regs, &user, ~0u);
	EXPECT_EQ(t, bank.nr, MAX_SLOTS);
	plug(3, 0, 1 << 21, 4);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.taken, 1);
	EXPECT_EQ(t, bank.odd, 0);
}

static void expect_shown(struct ktest *t, const char *words)
{
	u64 pos = log_position();

	show_slots(&bank);
	if (!said(pos, words))
		ktest_fail(t, __FILE__, __LINE__, "not shown: %s", words);
}

static void the_host_is_told_whether_to_ask_again(struct ktest *t)
{
	static const struct {
		int err;
		u32 told;
	} refusals[] = {{-EBUSY, 0x82}, {-ETIMEDOUT, 0x82}, {-EINTR, 0x82}, {-EAGAIN, 0x82}, {-EINVAL, 1}, {-EIO, 1},
	    {-ENOMEM, 1}, {-EALREADY, 1}};
	unsigned kind, i;

	for (kind = SLOT_MEMORY; kind <= SLOT_CPU; kind++) {
		begin((enum slot_kind)kind);
		plug(1, 1ULL << 32, 1 << 21, 7);
		slot_bank_scan(&bank);
		for (i = 0; i < ARRAY_SIZE(refusals); i++) {
			fake.refuses = refusals[i].err;
			ask_for(1);
			slot_bank_scan(&bank);
			expect_told(t, 1, 3, refusals[i].told);
			EXPECT_EQ(t, fake.slot[1].told, i + 2);
			EXPECT_EQ(t, bank.slot[1].err, refusals[i].err);
			EXPECT_EQ(t, bank.refused, i + 1);
			EXPECT(t, bank.slot[1].why && !strcmp(bank.slot[1].why, "test"));
		}
		/* What comes is refused for good. */
		for (i = 0; i < ARRAY_SIZE(refusals) - 1; i++) {
			begin((enum slot_kind)kind);
			plug(2, 1ULL << 32, 1 << 21, 7);
			fake.refuses = refusals[i].err;
			slot_bank_scan(&bank);
			expect_told(t, 2, 1, 1);
			EXPECT_EQ(t, fake.slot[2].told, 1);
			EXPECT_EQ(t, bank.slot[2].state, SLOT_REFUSED);
			EXPECT_EQ(t, fake.wrong, 0);
		}
	}
}

static void each_slot_is_shown_as_it_is(struct ktest *t)
{
	begin(SLOT_MEMORY);
	expect_shown(t, "slots: 0 of 4 DIMM slots full; 0 taken, 0 given back, 0 refused, 0 odd\n");
	fake.refuses = -ENOMEM;
	plug(1, 1ULL << 32, 2ULL << 21, 7);
	slot_bank_scan(&bank);
	expect_shown(t, "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: not in use; last refused: error -12: test\n"
			"slots: 1 of 4 DIMM slots full; 0 taken, 0 given back, 1 refused, 0 odd\n");
	/* Put in once more, it is tried again. */
	fake.slot[1].status |= INSERT;
	fake.refuses = 0;
	slot_bank_scan(&bank);
	EXPECT(t, bank.slot[1].err == 0 && !bank.slot[1].why && bank.odd == 0);
	expect_told(t, 1, 1, 0);
	plug(3, 2ULL << 32, 1 << 21, 0);
	slot_bank_scan(&bank);
	expect_shown(t, "slots: DIMM slot 1, 4 MiB at 0x100000000, domain 7: in use\n"
			"slots: DIMM slot 3, 2 MiB at 0x200000000, domain 0: in use\n"
			"slots: 2 of 4 DIMM slots full; 2 taken, 0 given back, 1 refused, 0 odd\n");
	ask_for(1);
	slot_bank_scan(&bank);
	expect_shown(t, "slots: 1 of 4 DIMM slots full; 2 taken, 1 given back, 1 refused, 0 odd\n");
	/* A bank of CPUs, where one was refused and is gone: that is not odd. */
	begin(SLOT_CPU);
	fake.refuses = -EIO;
	plug(0, 0, 0, 9);
	slot_bank_scan(&bank);
	expect_shown(t, "slots: CPU slot 0, APIC id 9: not in use; last refused: error -5: test\n"
			"slots: 1 of 4 CPU slots full; 0 taken, 0 given back, 1 refused, 0 odd\n");
	fake.slot[0].status = 0;
	slot_bank_scan(&bank);
	EXPECT_EQ(t, bank.slot[0].state, SLOT_EMPTY);
	expect_shown(t, "slots: 0 of 4 CPU slots full; 0 taken, 0 given back, 1 refused, 0 odd\n");
}

/* The host, too, hears of an eject that did nothing, and of what is used again then. */
static void an_eject_that_fails_is_told(struct ktest *t)
{
	begin(SLOT_MEMORY);
	plug(1, 0, 1 << 21, 9);
	slot_bank_scan(&bank);
	fake.holds_on = true;
	fake.refuses = 0;
	ask_for(1);
	slot_bank_scan(&bank);
	EXPECT_EQ(t, fake.slot[1].ejected, 1);
	EXPECT_EQ(t, fake.slot[1].told, 3);
	expect_told(t, 1, 1, 0);
	EXPECT_EQ(t, bank.taken, 2);
	EXPECT_EQ(t, bank.slot[1].dev.id, 9);
	EXPECT_EQ(t, fake.wrong, 0);
}

KTEST_SUITE(acpi_slots, KTEST_QUICK, KTEST(what_comes_is_used_and_what_is_asked_for_goes),
    KTEST(what_was_there_before_is_used), KTEST(who_refuses_keeps_it_and_the_host_is_told),
    KTEST(what_comes_and_is_asked_for_at_once_goes), KTEST(what_comes_as_soon_as_the_slot_is_empty_is_used),
    KTEST(what_was_not_taken_may_go), KTEST(events_of_empty_slots_do_nothing),
    KTEST(a_device_that_does_not_let_go_is_used_again), KTEST(events_that_do_not_end_are_looked_at_once_a_scan),
    KTEST(a_block_that_is_not_there_has_nothing_in_it), KTEST(what_vanishes_is_noticed),
    KTEST(more_slots_than_there_is_room_for_are_left_alone), KTEST(the_host_is_told_whether_to_ask_again),
    KTEST(each_slot_is_shown_as_it_is), KTEST(an_eject_that_fails_is_told));
