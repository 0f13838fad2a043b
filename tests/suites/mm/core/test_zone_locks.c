/* SPDX-License-Identifier: MIT */
/*
 * test_zone_locks.c: how often allocations and frees through the caches take the lock of a zone:
 * never if a stack can serve the request, if an empty stack is drained, or if the watermark
 * refuses; otherwise once.
 */
#include "tests/lib/mm_help.h"

#define BULK 64u
static struct page *pages[BULK + 1], *others[BULK];

/* The arguments of the operation to measure; all of it runs on CPU 0. */
struct job {
	struct ktest *t;
	struct memory *mem;
	struct zone *zone, *other;
	unsigned order;
	unsigned long nr;
	struct page *page;
};

static void alloc_one(void *arg)
{
	struct job *job = arg;

	job->page = mem_alloc_pages(job->mem, GFP_MOVABLE | GFP_NOWAIT, job->order);
}

static void free_one(void *arg)
{
	struct job *job = arg;

	EXPECT_EQ(job->t, mem_free_pages(job->mem, job->page, job->order), 0);
}

static void alloc_many(void *arg)
{
	struct job *job = arg;

	EXPECT_EQ(job->t, mem_alloc_pages_bulk(job->mem, GFP_MOVABLE | GFP_NOWAIT, job->nr, pages),
	    job->nr);
}

static void free_many(void *arg)
{
	struct job *job = arg;

	EXPECT_EQ(job->t, mem_free_pages_bulk(job->mem, job->nr, pages), 0);
}

static void drain_all_zones(void *arg)
{
	drain_local_pages(((struct job *)arg)->mem, NULL);
}

static void drain_one_zone(void *arg)
{
	struct job *job = arg;

	drain_local_pages(job->mem, job->zone);
}

static void refresh(void *arg)
{
	pcp_refresh_zone_local(((struct job *)arg)->zone);
}

static void drain_isolated(void *arg)
{
	pcp_drain_isolated_local(((struct job *)arg)->zone);
}

static struct memory *begin(struct ktest *t, struct job *job)
{
	*job = (struct job){.t = t, .mem = ktest_memory(t, 0, TEST_BLOCKS, TEST_BLOCKS)};
	if (!job->mem)
		return NULL;
	job->zone = test_zone(job->mem, ZONE_MOVABLE);
	job->other = test_zone(job->mem, ZONE_NORMAL);
	return job->mem;
}

/* ---- allocating and freeing ---- */

/* The stack holds four pages: every fourth allocation refills it, and the fifth free spills. */
static void pages_come_and_go(void *arg)
{
	struct job *job = arg;
	struct ktest *t = job->t;
	unsigned i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(t, zone_locks_of(job->zone, alloc_one, job), i % 4 == 0);
		REQUIRE(t, job->page);
		pages[i] = job->page;
	}
	EXPECT_EQ(t, zone_locks_of(job->zone, drain_all_zones, job), 1);
	for (i = 0; i < 5; i++) {
		job->page = pages[i];
		EXPECT_EQ(t, zone_locks_of(job->zone, free_one, job), i == 4);
	}
	EXPECT_EQ(t, zone_locks_of(job->zone, drain_all_zones, job), 0);
	/* This order has no stack. */
	job->order = NR_SMALL_CACHED;
	if (MAX_ORDER <= NR_SMALL_CACHED)
		return;
	EXPECT_EQ(t, zone_locks_of(job->zone, alloc_one, job), 1);
	REQUIRE(t, job->page);
	EXPECT_EQ(t, zone_locks_of(job->zone, free_one, job), 1);
}

KTEST_SUITE(zone_locks, KTEST_QUICK | KTEST_MOSTLY_COST);

KTEST(a_cached_page_takes_no_lock)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	set_plan(job.zone, 0, MT_MOVABLE, 4);
	ktest_on_cpu(0, pages_come_and_go, &job);
	restore_plan(job.zone);
}

static void expect_none(void *arg)
{
	struct job *job = arg;

	for (job->order = 0; job->order <= MAX_ORDER; job->order++) {
		EXPECT_EQ(job->t, zone_locks_of(job->zone, alloc_one, job), 0);
		EXPECT(job->t, !job->page);
	}
}

/* Taking the lock would only make other CPUs wait, just when memory is short. */
KTEST(a_watermark_refuses_without_the_lock)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	WRITE_ONCE(job.zone->wmark[WMARK_MIN], job.zone->nr_free);
	WRITE_ONCE(job.other->wmark[WMARK_MIN], job.other->nr_free);
	ktest_on_cpu(0, expect_none, &job);
	zone_set_watermarks(job.zone);
	zone_set_watermarks(job.other);
}

static unsigned long batches(unsigned long nr, unsigned long batch)
{
	return (nr + batch - 1) / batch;
}

static void many_pages(void *arg)
{
	struct job *job = arg;
	struct ktest *t = job->t;

	for (job->nr = 1; job->nr <= BULK; job->nr++) {
		EXPECT_EQ(
		    t, zone_locks_of(job->zone, alloc_many, job), batches(job->nr, PCP_BATCH));
		EXPECT_EQ(t, zone_locks_of(job->zone, free_many, job), 0);
		drain_local_pages(job->mem, NULL);
	}
	/* All pages are cached now. */
	job->nr = BULK;
	alloc_many(job);
	free_many(job);
	EXPECT_EQ(t, zone_pcp_pages(job->zone), BULK);
	EXPECT_EQ(t, zone_locks_of(job->zone, alloc_many, job), 0);
	EXPECT_EQ(t, zone_locks_of(job->zone, free_many, job), 0);
	/* The stack is full: a lock hold frees the page at hand and spills a batch. */
	drain_local_pages(job->mem, NULL);
	EXPECT_EQ(t, mem_alloc_pages_bulk(job->mem, GFP_MOVABLE | GFP_NOWAIT, BULK, others), BULK);
	alloc_many(job);
	EXPECT_EQ(t, mem_free_pages_bulk(job->mem, BULK, others), 0);
	EXPECT_EQ(t, zone_locks_of(job->zone, free_many, job), batches(BULK, PCP_BATCH + 1));
	drain_local_pages(job->mem, NULL);
}

/* Without a cache there are no batches. */
static void many_pages_uncached(void *arg)
{
	struct job *job = arg;

	job->nr = BULK;
	EXPECT_EQ(job->t, zone_locks_of(job->zone, alloc_many, job), BULK);
	EXPECT_EQ(job->t, zone_locks_of(job->zone, free_many, job), BULK);
}

KTEST(a_bulk_takes_one_lock_a_batch)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	set_plan(job.zone, 0, MT_MOVABLE, BULK);
	ktest_on_cpu(0, many_pages, &job);
	set_plan(job.zone, 0, MT_MOVABLE, 0);
	ktest_on_cpu(0, many_pages_uncached, &job);
	restore_plan(job.zone);
}

/* ---- giving back ---- */

static void (*const giving_back[])(void *) = {
    drain_all_zones, drain_one_zone, refresh, drain_isolated};

static void give_back_nothing(void *arg)
{
	struct job *job = arg;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(giving_back); i++) {
		EXPECT_EQ(job->t, zone_locks_of(job->zone, giving_back[i], job), 0);
		EXPECT_EQ(job->t, zone_locks_of(job->other, giving_back[i], job), 0);
	}
}

KTEST(empty_stacks_take_no_lock)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	EXPECT_EQ(t, zone_pcp_pages(job.zone), 0);
	ktest_on_cpu(0, give_back_nothing, &job);
}

/* Cache a block of order 0 and a block of order 1, each in its own stack. */
static void cache_two(struct job *job)
{
	for (job->order = 0; job->order < 2; job->order++) {
		alloc_one(job);
		REQUIRE(job->t, job->page);
		drain_local_pages(job->mem, NULL);
		pages[job->order] = job->page;
	}
	for (job->order = 0; job->order < 2; job->order++) {
		job->page = pages[job->order];
		free_one(job);
	}
	EXPECT_EQ(job->t, zone_pcp_pages(job->zone), 3);
}

static void give_back_two(void *arg)
{
	struct job *job = arg;
	struct ktest *t = job->t;
	u64 drained;

	cache_two(job);
	drained = mm_event_sum(job->mem, EV_PCP_DRAINED);
	/* No pageblock is isolated, and no stack is above its limit: all pages stay. */
	EXPECT_EQ(t, zone_locks_of(job->zone, refresh, job), 0);
	EXPECT_EQ(t, zone_locks_of(job->zone, drain_isolated, job), 2);
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 3);
	EXPECT_EQ(t, mm_event_sum(job->mem, EV_PCP_DRAINED), drained);
	EXPECT_EQ(t, zone_locks_of(job->other, drain_all_zones, job), 0);
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 0);
	cache_two(job);
	EXPECT_EQ(t, zone_locks_of(job->zone, drain_all_zones, job), 2);
	cache_two(job);
	EXPECT_EQ(t, zone_locks_of(job->zone, drain_one_zone, job), 2);
	cache_two(job);
	/* Cut the limit of order 1 to 0, so that its block may not stay. */
	job->zone->pcp_capacity[1][MT_MOVABLE] = 0;
	drained = mm_event_sum(job->mem, EV_PCP_DRAINED);
	EXPECT_EQ(t, zone_locks_of(job->zone, refresh, job), 1);
	EXPECT_EQ(t, mm_event_sum(job->mem, EV_PCP_DRAINED), drained + 1);
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 1);
	EXPECT_EQ(t, zone_locks_of(job->zone, drain_isolated, job), 1);
	EXPECT_EQ(t, zone_locks_of(job->zone, drain_all_zones, job), 1);
}

KTEST(each_stack_is_freed_in_one_lock_hold)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	set_plan(job.zone, 0, MT_MOVABLE, 1);
	job.zone->pcp_capacity[1][MT_MOVABLE] = 1;
	pcp_refresh_all(job.mem);
	ktest_on_cpu(0, give_back_two, &job);
	restore_plan(job.zone);
}
