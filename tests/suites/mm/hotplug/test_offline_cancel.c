/* SPDX-License-Identifier: MIT */
/* test_offline_cancel.c: how much an offline still moves after a cancel, or after its deadline. */
#include "tests/lib/mov_help.h"
#include <quarry/memory_hotplug.h>

#define BLOCK(n)  ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 16u : 64u)
#define START     BLOCK(4)
/* Movable pages for several batches; at least as many other pages are free. */
#define NR          (PAGEBLOCK_ORDER >= 9 ? BLOCK(4) : BLOCK(28))
#define DEADLINE_NS 20000000ULL
#define LONG_NS     800000000ULL /* all pages are moved long before */

static u32 cancel;
static unsigned cancel_at;
static u64 deadline;

static void cancel_then(struct page *dst, struct page *src)
{
	if (mov.moved == cancel_at)
		WRITE_ONCE(cancel, 1);
}

static void wait_for_deadline(struct page *dst, struct page *src)
{
	mov_wait_until(deadline);
}

static struct memory *full_range(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE_SIZE);

	if (!mov_begin(t, mem))
		return NULL;
	mov_fill_range(START, START + NR);
	EXPECT(t, NR > MIGRATE_BATCH);
	cancel = 0;
	return mem;
}

KTEST_SUITE(offline_cancel, KTEST_QUICK | KTEST_MOSTLY_COST);

/* After the cancel there is no further pass and no further drain round. */
KTEST(a_cancel_is_seen_at_the_next_batch)
{
	struct offline_opts opts = {.cancel = &cancel};
	struct memory *mem = NEED(t, full_range(t));
	struct offline_result r;
	unsigned policy, before;

	mov.on_move = cancel_then;
	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		opts.policy = (enum iso_policy)policy;
		before = mov.moved;
		cancel_at = before + 1;
		cancel = 0;
		EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, &r), -EINTR);
		EXPECT_EQ(t, r.fail.why, WHY_CANCELLED);
		EXPECT_RANGE(t, mov.moved - before, 1, MIGRATE_BATCH);
		/* Nor does it isolate further pages in vain. */
		EXPECT_RANGE(
		    t, mm_event_sum(mem, EV_MIGRATE_FAIL), 0, (policy + 1) * MIGRATE_BATCH - 1);
		EXPECT_EQ(t, r.loops, 1);
		EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_LOOPS), policy + 1);
		EXPECT_EQ(t, r.rounds, 1);
		EXPECT_EQ(t, zone_of(mem, START)->nr_isolated, 0);
		expect_sound(t, mem);
	}
	mov_end(t);
}

/* The last page has moved already, in the first pass: nothing is left to cancel. */
KTEST_CONTRACT(a_cancel_at_the_last_page_comes_too_late)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .cancel = &cancel};
	struct memory *mem = NEED(t, full_range(t));
	struct offline_result r;

	cancel_at = (unsigned)NR;
	mov.on_move = cancel_then;
	EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, &r), 0);
	EXPECT_EQ(t, mov.moved, NR);
	EXPECT_EQ(t, r.loops, 1);
	EXPECT_EQ(t, online_pages(mem, START, NR, NULL), 0);
	mov_end(t);
}

static void last_waits_for_deadline(struct page *dst, struct page *src)
{
	if (mov.moved == cancel_at)
		wait_for_deadline(dst, src);
}

/* So does the deadline, if all is free then. */
KTEST_CONTRACT(a_deadline_at_the_last_page_comes_too_late, KTEST_SLOW)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .deadline_ns = LONG_NS};
	struct memory *mem = NEED(t, full_range(t));
	struct offline_result r;

	cancel_at = (unsigned)NR;
	mov.on_move = last_waits_for_deadline;
	deadline = arch_clock_ns() + LONG_NS + LONG_NS / 8;
	EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, &r), 0);
	EXPECT_EQ(t, r.fail.why, WHY_NONE);
	EXPECT_EQ(t, online_pages(mem, START, NR, NULL), 0);
	mov_end(t);
}

KTEST(a_deadline_is_seen_at_the_next_batch, KTEST_SLOW)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .deadline_ns = DEADLINE_NS};
	struct memory *mem = NEED(t, full_range(t));
	struct offline_result r;

	mov.on_move = wait_for_deadline;
	deadline = arch_clock_ns() + 2 * DEADLINE_NS;
	EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, &r), -ETIMEDOUT);
	EXPECT_EQ(t, r.fail.why, WHY_DEADLINE);
	EXPECT_RANGE(t, mov.moved, 0, MIGRATE_BATCH);
	EXPECT_RANGE(t, mm_event_sum(mem, EV_MIGRATE_FAIL), 0, MIGRATE_BATCH - mov.moved);
	EXPECT_EQ(t, zone_of(mem, START)->nr_isolated, 0);
	expect_sound(t, mem);
	mov_end(t);
}

/* A page that is isolated already stays: an allocation could wait for long. */
KTEST_INSIDE(a_cancel_ends_the_search_for_targets)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .cancel = &cancel};
	struct memory *mem = NEED(t, full_range(t));

	cancel_at = 1;
	mov.on_move = cancel_then;
	EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, NULL), -EINTR);
	EXPECT_EQ(t, mov.moved, 1);
	mov_end(t);
}

KTEST_INSIDE(a_deadline_ends_the_search_for_targets, KTEST_SLOW)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .deadline_ns = DEADLINE_NS};
	struct memory *mem = NEED(t, full_range(t));

	mov.on_move = wait_for_deadline;
	deadline = arch_clock_ns() + 2 * DEADLINE_NS;
	EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, NULL), -ETIMEDOUT);
	EXPECT(t, mov.moved <= 1);
	mov_end(t);
}

/* How soon is a cost; but not all of the range is moved first. */
KTEST_CONTRACT(a_cancel_or_the_deadline_ends_the_pass, KTEST_SLOW)
{
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .cancel = &cancel};
	struct memory *mem = NEED(t, full_range(t));

	/* Before the first pass of a range that is free. */
	cancel = 1;
	EXPECT_EQ(t, offline_pages(mem, 0, BLOCK(1), &opts, NULL), -EINTR);
	cancel = 0;
	mov.on_move = cancel_then;
	cancel_at = 1;
	EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, NULL), -EINTR);
	EXPECT_RANGE(t, mov.moved, 0, (long long)NR - 1);
	/* The others are still there. */
	mov.on_move = wait_for_deadline;
	deadline = arch_clock_ns() + 2 * DEADLINE_NS;
	opts = (struct offline_opts){.policy = NR_ISO_POLICIES, .deadline_ns = DEADLINE_NS};
	EXPECT_EQ(t, offline_pages(mem, START, NR, &opts, NULL), -ETIMEDOUT);
	EXPECT_RANGE(t, mov.moved, 0, (long long)NR - 1);
	mov_end(t);
}
