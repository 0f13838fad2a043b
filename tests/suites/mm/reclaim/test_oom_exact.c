/* SPDX-License-Identifier: MIT */
/*
 * test_oom_exact.c: limits of the OOM killer: the number of free pages up to which a large request
 * kills a task, and how often an allocation starts over because tasks exit.
 */
#include "tests/lib/oom_help.h"
#include "tests/lib/request_help.h"
#include <quarry/page_report.h>

static struct pile hoard, kept;

/* Begin with a hook that finds no victim. */
static struct memory *begin(struct ktest *t)
{
	struct memory *mem = killer_begin(t, &hoard);

	kept = (struct pile){NULL, 0};
	killer.nobody = true;
	return mem;
}

KTEST_SUITE(oom_exact, KTEST_QUICK);

/* Only single pages are free. If their number exceeds the high watermark, no task is killed. */
KTEST(large_request_kills_up_to_the_high_watermark)
{
	struct memory *mem = begin(t);
	unsigned long high;

	if (!mem)
		return;
	high = movable_zone(mem)->wmark[WMARK_HIGH];
	port_task()->reserve = 1;
	pile_alloc(mem, &hoard, GFP_MOVABLE, 0, ALL_THERE_IS);
	port_task()->reserve = 0;
	free_single_pages(t, mem, &kept, high);
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 1));
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, killer.order, 1);
	EXPECT_EQ(t, killer.gfp, GFP_MOVABLE);
	free_single_pages(t, mem, &kept, high + 1);
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 1));
	EXPECT_EQ(t, killer.calls, 1);
	EXPECT_EQ(t, pile_free(mem, &kept), 0);
	killer_end(t, mem);
}

#define RUNS 8 /* an allocation runs at most this often while other tasks exit */

static unsigned outdated, too_early;

/* The hook finds no victim, because a task has just exited and freed its pages. */
static bool find_nobody_left(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	killer.calls++;
	too_early += memory_oom_outdated(mem);
	memory_oom_left(mem);
	outdated += memory_oom_outdated(mem);
	return false;
}

KTEST_COST(allocation_restarts_for_exiting_tasks_a_bounded_number_of_times)
{
	struct memory *mem = begin(t);

	if (!mem)
		return;
	outdated = too_early = 0;
	memory_set_oom(mem, find_nobody_left, NULL);
	EXPECT(t, !memory_oom_outdated(mem));
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, killer.calls, RUNS);
	EXPECT_EQ(t, outdated, RUNS - 1);
	EXPECT_EQ(t, too_early, 0);
	EXPECT_EQ(t, mem->oom.left, RUNS);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OOM_NOBODY), 1);
	/* Each run drains the caches again. */
	EXPECT_EQ(t, mm_event_sum(mem, EV_ALLOC_DRAIN_WAIT), RUNS);
	EXPECT(t, !memory_oom_outdated(mem));
	killer_end(t, mem);
}

/* A request for a larger block that has used up its tries. */
static struct request tired(struct memory *mem)
{
	struct request q = request_for(mem, GFP_MOVABLE, 3);

	oom_begin(&q);
	q.drops = 16;
	q.compactions = 4;
	q.unmade = true;
	return q;
}

/* The task has exited before the search for a victim, or during it. */
KTEST(task_that_has_exited_renews_the_tries)
{
	struct memory *mem = begin(t);
	struct request q;

	if (!mem)
		return;
	memory_set_oom(mem, find_nobody_left, NULL);
	q = tired(mem);
	EXPECT_EQ(t, oom_alloc(&q), TRY_ANEW);
	EXPECT(t, !q.drops && !q.compactions && !q.unmade);
	q = tired(mem);
	memory_oom_gone(mem, 0);
	EXPECT_EQ(t, oom_alloc(&q), TRY_ANEW);
	EXPECT(t, !q.drops && !q.compactions && !q.unmade);
	EXPECT_EQ(t, killer.calls, 1);
	killer_end(t, mem);
}

/* A report has a pageblock, and others have taken the pages that it left free. */
KTEST(no_task_is_killed_while_free_memory_is_reported, KTEST_SLOW)
{
	struct report_walk walk = {0};
	struct memory *mem = begin(t);
	struct request q;
	pfn_t block;

	if (!mem)
		return;
	EXPECT_EQ(t, pile_free(mem, &hoard), 0);
	REQUIRE(t, take_unreported(mem, &walk, &block, 1) == 1);
	EXPECT_EQ(t, zone_of(mem, block)->nr_reporting, 1);
	take_all_but(t, mem, &hoard, 0);
	q = request_for(mem, GFP_MOVABLE, 0);
	oom_begin(&q);
	EXPECT_EQ(t, oom_alloc(&q), TRY_ANEW);
	EXPECT_EQ(t, killer.calls, 0);
	give_reported(mem, &block, 1, true);
	EXPECT_EQ(t, oom_alloc(&q), GOT_IT);
	EXPECT_EQ(t, mem_free_pages(mem, q.page, 0), 0);
	/* After the report its memory is used up too. */
	EXPECT_EQ(t, zone_of(mem, block)->nr_reporting, 0);
	take_all_but(t, mem, &hoard, 0);
	EXPECT(t, !alloc_one(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, killer.calls, 1);
	killer_end(t, mem);
}
