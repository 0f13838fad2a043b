/* SPDX-License-Identifier: MIT */
/*
 * test_play_uncached.c: an allocation straight from a zone, or a free straight to it: other CPUs
 * act between its unlocked read and its lock, or it is left to the slow path. The source is
 * included with the lock watched.
 */
#define alloc_uncached played_alloc_uncached
#define free_uncached  played_free_uncached
#include "tests/lib/mm_help.h"
#include "tests/lib/poison_help.h"
#include <quarry/poison.h>

/* Other CPUs act a single time, just before this CPU gets the lock. */
static void (*others)(struct zone *zone);
static unsigned locks;

static void lock_after_others(struct zone *zone) ACQUIRE(zone->lock, zone_class) NO_LOCK_ANALYSIS
{
	void (*fn)(struct zone *) = others;

	locks++;
	others = NULL;
	if (fn)
		fn(zone);
	zone_lock(zone);
}

#define zone_lock lock_after_others
#include "mm/core/uncached.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef zone_lock

struct job {
	struct ktest *t;
	struct zone *zone;
	struct page *page;
	bool done;
};

static void alloc_job(void *arg)
{
	struct job *job = arg;

	locks = 0;
	job->page = alloc_uncached(job->zone->mem, GFP_MOVABLE, 0);
	EXPECT(job->t, arch_irqs_enabled() && !spin_is_held(&job->zone->lock));
}

static void free_job(void *arg)
{
	struct job *job = arg;

	locks = 0;
	job->done = free_uncached(job->zone->mem, job->page, 0);
	EXPECT(job->t, arch_irqs_enabled() && !spin_is_held(&job->zone->lock));
}

/* A zone whose caches are off, so that all orders go straight to it. */
static bool begin(struct ktest *t, struct job *job)
{
	struct memory *mem = ktest_memory(t, 0, 0, CACHED_BLOCKS);

	*job = (struct job){.t = t, .zone = mem ? &mem->zones[ZONE_MOVABLE] : NULL};
	return mem && !zone_pcp_disable(job->zone);
}

static unsigned long least(const struct zone *zone)
{
	return zone->wmark[WMARK_MIN] + zone->wmark[WMARK_LOW] + zone->reserve;
}

static struct pile taken;
static unsigned long keep;

/* Other CPUs take all but @keep pages. */
static void take_all_but_some(struct zone *zone)
{
	while (zone->nr_free > keep)
		pile_push(&taken, take_block(zone, 0, MT_MOVABLE));
}

static void give_all(struct zone *zone)
{
	while (taken.top)
		give_block(zone, pile_pop(&taken));
}

KTEST_SUITE(play_uncached, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(a_zone_with_plenty_gives_a_page)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	keep = least(job.zone) + 1;
	take_all_but_some(job.zone);
	ktest_on_cpu(0, alloc_job, &job);
	REQUIRE(t, job.page);
	EXPECT_EQ(t, locks, 1);
	EXPECT_EQ(t, page_word(job.page), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mm_event_sum(job.zone->mem, EV_ALLOC_UNCACHED), 1);
	EXPECT_EQ(t, mm_event_sum(job.zone->mem, EV_ALLOC_SLOW), 1);
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, job.done);
	EXPECT_EQ(t, locks, 1);
	EXPECT_EQ(t, mm_event_sum(job.zone->mem, EV_FREE_UNCACHED), 1);
	/* With one page fewer the slow path decides. */
	keep--;
	take_all_but_some(job.zone);
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !job.page);
	EXPECT_EQ(t, locks, 0);
	give_all(job.zone);
	EXPECT_EQ(t, zone_pcp_enable(job.zone), 0);
}

KTEST(none_is_taken_below_it_after_other_cpus)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	keep = least(job.zone);
	others = take_all_but_some;
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !others && !job.page);
	EXPECT_EQ(t, job.zone->nr_free, keep);
	EXPECT_EQ(t, mm_event_sum(job.zone->mem, EV_ALLOC_SLOW), 0);
	give_all(job.zone);
	EXPECT_EQ(t, zone_pcp_enable(job.zone), 0);
}

KTEST(a_cache_that_is_on_is_not_passed_by)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	job.page = mem_alloc_pages(job.zone->mem, GFP_MOVABLE, 0);
	REQUIRE(t, job.page);
	EXPECT_EQ(t, zone_pcp_enable(job.zone), 0);
	set_plan(job.zone, 0, MT_MOVABLE, 4);
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, !job.done && locks == 0);
	EXPECT_EQ(t, mem_free_pages(job.zone->mem, job.page, 0), 0);
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !job.page && locks == 0);
	restore_plan(job.zone);
}

static struct page *held;

static void break_it(struct zone *zone)
{
	pfn_t pfn = page_to_pfn_in(zone->mem, held);

	zone_lock(zone);
	poison_doom(zone, pfn, pfn);
	zone_unlock(zone);
}

static void free_it_first(struct zone *zone)
{
	KASSERT(!mem_free_pages(zone->mem, held, 0));
}

/* A change of a page before its free takes the lock is noticed and left to the slow path. */
KTEST(the_word_is_read_again_under_the_lock)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	job.page = held = mem_alloc_pages(job.zone->mem, GFP_MOVABLE, 0);
	REQUIRE(t, held);
	others = break_it;
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, !others && !job.done);
	EXPECT_EQ(t, page_word(held) & ~PAGE_POISON, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT(t, page_word(held) & PAGE_POISON);
	EXPECT_EQ(t, mem_free_pages(job.zone->mem, held, 0), 0);
	EXPECT(t, is_retired(job.zone->mem, page_to_pfn_in(job.zone->mem, held)));
	EXPECT_EQ(t, mem_unpoison_page(job.zone->mem, page_to_pfn_in(job.zone->mem, held)), 0);
	job.page = held = mem_alloc_pages(job.zone->mem, GFP_MOVABLE, 0);
	REQUIRE(t, held);
	others = free_it_first;
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, !others && !job.done);
	EXPECT_EQ(t, mm_event_sum(job.zone->mem, EV_BAD_FREE), 0);
	EXPECT_EQ(t, zone_pcp_enable(job.zone), 0);
}

/* ---- lent pages ---- */

static pfn_t area; /* a lent pageblock */

/* Other CPUs end the isolation of the lent pageblock, and take all but @keep of the other pages. */
static void end_isolation(struct zone *zone)
{
	set_isolated(zone, area, false);
	while (zone->nr_free - zone->nr_free_cma > keep)
		pile_push(&taken, take_block(zone, 0, MT_MOVABLE));
}

/* Lent pages that come just before the lock is taken do not stand in for those that are gone. */
KTEST(lent_pages_that_come_do_not_count)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	struct zone *zone = &mem->zones[ZONE_NORMAL];
	struct job job = {.t = t, .zone = zone};

	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	area = zone->end_pfn - PAGEBLOCK_PAGES;
	set_type(zone, area, MT_CMA);
	set_isolated(zone, area, true);
	keep = least(zone);
	others = end_isolation;
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !others && !job.page);
	EXPECT_EQ(t, locks, 1);
	EXPECT_EQ(t, zone->nr_free, keep + PAGEBLOCK_PAGES);
	give_all(zone);
	set_type(zone, area, MT_MOVABLE);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}
