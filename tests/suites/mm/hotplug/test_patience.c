/* SPDX-License-Identifier: MIT */
/*
 * test_patience.c: how long an operation tries to empty a range, exact to the pass and the
 * nanosecond, as a table of times; and how an evacuation ends when it is cancelled or too late.
 */
#include "tests/lib/mov_help.h"

#define BLOCKS 8u
#define MS     1000000ULL

KTEST_SUITE(patience, KTEST_QUICK | KTEST_MOSTLY_COST);

/* Eight passes come in a row, then pauses; after progress the first passes have none again. */
KTEST(pauses_grow_to_sixteen_milliseconds)
{
	static const u64 pauses[] = {1, 2, 4, 8, 16, 16};
	struct patience p;
	unsigned i, turn;
	u64 began;

	for (turn = 0; turn < 2; turn++) {
		patience_begin(&p);
		for (i = 0; i < 8; i++)
			EXPECT_EQ(t, patience_pause(&p), 0);
		for (i = 0; i < ARRAY_SIZE(pauses); i++)
			EXPECT_EQ(t, patience_pause(&p), pauses[i] * MS);
	}
	began = arch_clock_ns();
	patience_wait(&p);
	EXPECT(t, arch_clock_ns() - began >= 16 * MS);
}

/* A page is refused after five turns and after 200 ms, whichever comes later. */
KTEST(unmovable_page_is_refused_after_time_and_turns)
{
	static const struct {
		unsigned yield, turn, end; /* ms */
		unsigned passes;
	} rows[] = {
	    /* Both limits are reached at the same time; that of time is last; that of turns. */
	    {50, 0, 200, 5}, {40, 0, 200, 6}, {100, 0, 400, 5}, {100, 100, 500, 6},
	    /* A turn begins when the turn before has ended, and the next pass notices its end. */
	    {125, 101, 625, 6},
	    /* Turns of two passes each: 200, 400, 600, 800, and 13 pauses after that. */
	    {100, 150, 959, 22},
	    /* Without turns no page is refused. */
	    {100, ~0u, 0, 0}};
	unsigned i, passes;
	u64 now, pause;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct patience p = {0};

		for (passes = 1, now = 0; passes < 1000; passes++, now += pause) {
			if (patience_spent(&p, now, now - p.counted >= rows[i].turn * MS))
				break;
			pause = patience_pause(&p);
			pause = pause ? pause : rows[i].yield * MS;
		}
		EXPECT_EQ(t, passes, rows[i].passes ? rows[i].passes : 1000);
		if (rows[i].passes)
			EXPECT_EQ(t, now, rows[i].end * MS);
	}
}

KTEST(deadline_that_overflows_is_never_past)
{
	EXPECT_EQ(t, deadline_from_now(~0ULL), ~0ULL);
	EXPECT(t, !deadline_past(deadline_from_now(~0ULL)));
	EXPECT(t, !deadline_past(deadline_from_now(1000000 * MS)));
	EXPECT(t, deadline_past(deadline_from_now(0)));
}

/* ---- an evacuation ---- */

static u32 cancel;
static struct memory *mem;
static struct mm_fail fail;
static struct evacuation evac;
static struct iso_ops policy; /* redrain or precise, cancelled at the third pass */
static unsigned passes;

static int retry(struct zone *zone, struct drain_cost *cost)
{
	cancel = ++passes == 3;
	return iso_ops(policy.one_round ? ISO_PRECISE : ISO_REDRAIN)->retry(zone, cost);
}

static void begin_again(enum iso_policy of)
{
	policy = *iso_ops(of);
	policy.retry = retry;
	cancel = passes = 0;
	fail = (struct mm_fail){.pfn = PFN_NONE};
	evac = (struct evacuation){.zone = zone_in(mem, ZONE_MOVABLE),
	    .range = {BLOCK(2), BLOCK(3)},
	    .policy = &policy,
	    .deadline = ~0ULL,
	    .cancel = &cancel,
	    .fail = &fail};
}

/* Prepare to evacuate pageblock 2 of a memory of movable pages; the pageblock is isolated. */
static bool begin(struct ktest *t)
{
	mem = ktest_memory(t, 0, 0, BLOCKS);
	if (!mov_begin(t, mem))
		return false;
	all_caches_off(t, mem);
	begin_again(ISO_PRECISE);
	return true;
}

static void finish(struct ktest *t)
{
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), false);
	mov_end(t);
}

static void hold_movable(pfn_t pfn)
{
	mov.pages[mov.nr] = hold_pfn(mem, pfn);
	make_movable(mem, mov.pages[mov.nr], &mov.owner, mov.nr);
	mov.nr++;
}

static void move_then_cancel(struct page *dst, struct page *src)
{
	cancel = 1;
	evac.deadline = 0;
}

/* A pass that is cancelled, and too late at the same time, counts as cancelled. */
KTEST_INSIDE(cancelled_pass_is_not_judged)
{
	struct page *page;

	REQUIRE(t, begin(t));
	page = hold_pfn(mem, BLOCK(2) + 1);
	hold_movable(BLOCK(2) + 2);
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), true);
	mov.on_move = move_then_cancel;
	begin_again(ISO_REDRAIN);
	EXPECT_EQ(t, evacuate(&evac), -EINTR);
	EXPECT_EQ(t, fail.why, WHY_CANCELLED);
	EXPECT_EQ(t, fail.pfn, BLOCK(2));
	EXPECT_EQ(t, evac.loops, 1);
	EXPECT_EQ(t, passes, 0);
	/* An evacuation can be cancelled before its first pass too. */
	EXPECT_EQ(t, evacuate(&evac), -EINTR);
	EXPECT_EQ(t, evac.loops, 1);
	give_block(zone_in(mem, ZONE_MOVABLE), page);
	finish(t);
}

KTEST_CONTRACT(at_the_deadline_nothing_is_moved)
{
	REQUIRE(t, begin(t));
	hold_movable(BLOCK(2) + 1);
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), true);
	evac.deadline = deadline_from_now(0);
	EXPECT_EQ(t, evacuate(&evac), -ETIMEDOUT);
	EXPECT_EQ(t, fail.pfn, BLOCK(2) + 1);
	EXPECT_EQ(t, fail.why, WHY_DEADLINE);
	EXPECT_EQ(t, mov.moved, 0);
	begin_again(ISO_PRECISE);
	EXPECT_EQ(t, evacuate(&evac), 0);
	EXPECT_EQ(t, mov.moved, 1);
	finish(t);
}

KTEST(full_pageblock_is_evacuated_in_one_pass)
{
	REQUIRE(t, begin(t));
	mov_fill_range(BLOCK(2), BLOCK(3));
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), true);
	EXPECT_EQ(t, evacuate(&evac), 0);
	EXPECT_EQ(t, evac.loops, 1);
	EXPECT_EQ(t, evac.stats.moved, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_LOOPS), 1);
	finish(t);
}

/* With redrain each pass drains, unless it finds all pages free; other policies never do. */
KTEST(redrain_drains_after_each_pass)
{
	struct page *page;

	REQUIRE(t, begin(t));
	page = hold_pfn(mem, BLOCK(2) + 1);
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(2), true);
	EXPECT_EQ(t, evacuate(&evac), -EINTR);
	EXPECT_EQ(t, evac.cost.rounds + evac.cost.ipis, 0);
	EXPECT_EQ(t, evac.loops, 3);
	begin_again(ISO_REDRAIN);
	EXPECT_EQ(t, evacuate(&evac), -EINTR);
	EXPECT_EQ(t, evac.cost.rounds, 3);
	EXPECT_EQ(t, evac.loops, 3);
	give_block(zone_in(mem, ZONE_MOVABLE), page);
	begin_again(ISO_REDRAIN);
	EXPECT_EQ(t, evacuate(&evac), 0);
	EXPECT_EQ(t, evac.cost.rounds, 0);
	finish(t);
}
