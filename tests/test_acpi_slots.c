/* SPDX-License-Identifier: MIT */
/*
 * test_acpi_slots.c: slots against registers that are pretended: what a sound device does, and what a broken one
 * may say.
 */
#include "tests/slots_help.h"

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

KTEST_SUITE(acpi_slots, KTEST_QUICK, KTEST(what_comes_is_used_and_what_is_asked_for_goes),
    KTEST(what_was_there_before_is_used), KTEST(who_refuses_keeps_it_and_the_host_is_told),
    KTEST(what_comes_and_is_asked_for_at_once_goes),
    KTEST(what_was_not_taken_may_go), KTEST(events_of_empty_slots_do_nothing),
    KTEST(a_device_that_does_not_let_go_is_used_again), KTEST(events_that_do_not_end_are_looked_at_once_a_scan),
    KTEST(a_block_that_is_not_there_has_nothing_in_it), KTEST(what_vanishes_is_noticed),
    KTEST(more_slots_than_there_is_room_for_are_left_alone));
