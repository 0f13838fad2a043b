/* SPDX-License-Identifier: MIT */
/*
 * test_play_uncached.c: other CPUs act between the unlocked read of a refill, or of an allocation
 * or a free straight from or to a zone, and its lock, and before a spill takes its capacity back;
 * and the places of the stacks' slots.  The sources are included, and call the test at the lock and
 * the capacity.
 */
#define alloc_uncached         played_alloc_uncached
#define free_uncached          played_free_uncached
#define pcp_refill             played_pcp_refill
#define pcp_give_back          played_pcp_give_back
#define pcp_alloc_zone         played_pcp_alloc_zone
#define pcp_free_slow          played_pcp_free_slow
#define pcp_update_capacity    played_pcp_update_capacity
#define pcp_refresh_zone_local played_pcp_refresh_zone_local
#define pcp_drain_zone_local   played_pcp_drain_zone_local
#define pcp_zone_nonempty      played_pcp_zone_nonempty
#define zone_pcp_pages         played_zone_pcp_pages
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/poison_help.h"
#include <quarry/poison.h>

#define TEST_SLOT_CPUS 4u

/* Other CPUs act a single time, just before this CPU gets the lock or reads its capacity. */
static void (*others)(struct zone *zone);
static unsigned locks;

static void others_first(struct zone *zone)
{
	void (*fn)(struct zone *) = others;

	others = NULL;
	if (fn)
		fn(zone);
}

static void lock_after_others(struct zone *zone) ACQUIRE(zone->lock, zone_class) NO_LOCK_ANALYSIS
{
	locks++;
	others_first(zone);
	zone_lock(zone);
}

#define zone_lock lock_after_others
#include "mm/core/pcp.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef pcp_update_capacity

static unsigned update_after_others(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	others_first(zone);
	return played_pcp_update_capacity(zone, pcp, stack);
}

#define pcp_update_capacity update_after_others
#include "mm/core/pcp_slow.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#include "mm/core/uncached.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef zone_lock

/* ---- what other CPUs do ---- */

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

static struct page *held; /* which this CPU frees */

static void break_it(struct zone *zone)
{
	pfn_t pfn = page_to_pfn_in(zone->mem, held);

	zone_lock(zone);
	poison_doom(zone, pfn, pfn);
	zone_unlock(zone);
}

KTEST_SUITE(play_uncached, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- between the check of a refill and its lock ---- */

struct refill {
	struct ktest *t;
	struct zone *zone;
	gfp_t gfp;
	struct page *page;
};

static void refill(void *arg)
{
	struct refill *r = arg;

	r->page = pcp_alloc_zone(r->zone, r->gfp, 0, false);
	EXPECT(r->t, arch_irqs_enabled() && !spin_is_held(&r->zone->lock));
}

/*
 * Refill while other CPUs take pages until @left remain. @got: the caller gets a page, and @cached
 * more are cached.
 */
static void expect_refill(
    struct ktest *t, struct zone *zone, gfp_t gfp, unsigned long left, bool got, unsigned cached)
{
	struct refill r = {.t = t, .zone = zone, .gfp = gfp};
	u64 direct = mm_event_sum(zone->mem, EV_ALLOC_UNCACHED),
	    refills = mm_event_sum(zone->mem, EV_PCP_REFILL);

	keep = left;
	others = take_all_but_some;
	ktest_on_cpu(0, refill, &r);
	EXPECT(t, !others);
	EXPECT_EQ(t, r.page != NULL, got);
	EXPECT_EQ(t, zone_pcp_pages(zone), cached);
	EXPECT_EQ(t, zone->nr_free, left - got - cached);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_ALLOC_UNCACHED), direct + got);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_PCP_REFILL), refills + (cached > 0));
	if (r.page)
		give_block(zone, r.page);
	give_all(zone);
	drain_all_pages(zone->mem, NULL);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
}

KTEST(refill_stops_at_the_watermark_after_other_cpus)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, CACHED_BLOCKS));
	unsigned long min;
	struct zone *zone = &mem->zones[ZONE_MOVABLE];

	zone->pcp_capacity[0][MT_MOVABLE] = 8;
	pcp_refresh_all(mem);
	min = zone->wmark[WMARK_MIN];
	EXPECT(t, min > 8);
	expect_refill(t, zone, GFP_MOVABLE, min + 9, true, 7);
	expect_refill(t, zone, GFP_MOVABLE, min + 4, true, 3);
	expect_refill(t, zone, GFP_MOVABLE, min + 1, true, 0);
	expect_refill(t, zone, GFP_MOVABLE, min, false, 0);
	expect_refill(t, zone, GFP_MOVABLE, 0, false, 0);
	/*
	 * Below the watermark a request that may use the reserve gets one page, and the cache gets
	 * none.
	 */
	expect_refill(t, zone, GFP_MOVABLE | GFP_RESERVE, min, true, 0);
	expect_refill(t, zone, GFP_MOVABLE | GFP_RESERVE, min / 2, false, 0);
	expect_refill(t, zone, GFP_MOVABLE | GFP_ALL_RESERVE, 1, true, 0);
	expect_refill(t, zone, GFP_MOVABLE | GFP_ALL_RESERVE, 0, false, 0);
	expect_refill(t, zone, GFP_MOVABLE | GFP_ALL_RESERVE, min + 3, true, 2);
	/* Without a watermark all free pages may be taken, and no more. */
	zone->wmark[WMARK_MIN] = 0;
	expect_refill(t, zone, GFP_MOVABLE, 3, true, 2);
	expect_refill(t, zone, GFP_MOVABLE, 1, true, 0);
	expect_refill(t, zone, GFP_MOVABLE, 0, false, 0);
	zone_set_watermarks(zone);
	set_limits(zone, 0);
	pcp_refresh_all(mem);
}

/* ---- between the caller's read of the word and the capacity ---- */

/* Flag the page while the caches are off, as memory_failure does; then the caches are on again. */
static void break_it_and_enable(struct zone *zone)
{
	break_it(zone);
	store_release(&zone->pcp_depth, 0);
}

static void spill(void *arg)
{
	struct refill *r = arg;

	EXPECT(r->t, pcp_free_slow(r->zone->mem, held, 0, PAGE_WORD(1, PG_ALLOC, 0)));
}

KTEST(a_page_that_breaks_before_a_spill_is_not_cached)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, CACHED_BLOCKS));
	struct refill r = {.t = t};

	r.zone = &mem->zones[ZONE_MOVABLE];
	held = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, zone_pcp_disable(r.zone), 0);
	others = break_it_and_enable;
	ktest_on_cpu(0, spill, &r);
	EXPECT(t, !others);
	EXPECT_EQ(t, zone_pcp_pages(r.zone), 0);
	EXPECT(t, is_retired(mem, page_to_pfn_in(mem, held)));
	EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, held)), 0);
}

/* ---- slots ---- */

static struct {
	unsigned calls, fail_at; /* number of the call, from 1, that fails */
	bool movable;            /* a zone of movable pages has stacks of one type */
	struct page *slots[TEST_SLOT_CPUS][NR_CACHED_TYPES * PCP_SLOTS];
} arena;

static void *alloc_slots(void *arg, size_t bytes)
{
	if (++arena.calls == arena.fail_at || arena.calls > TEST_SLOT_CPUS ||
	    bytes != sizeof(arena.slots[0]) / (arena.movable ? NR_CACHED_TYPES : 1))
		return NULL;
	return arena.slots[arena.calls - 1];
}

/*
 * Each CPU has one array. Its stacks lie side by side there, each with slots for its most blocks.
 */
static void expect_slots(
    struct ktest *t, const struct memory *mem, unsigned cpu, struct page **slots)
{
	static const unsigned most[] = {PCP_MOST, 32, 16, 8, 2, 2};
	unsigned zone, index, type;

	for (zone = 0; zone < mem->nr_nodes * NR_ZONE_KINDS; zone++) {
		struct page **slot = slots;

		for (index = 0; index < NR_CACHED_ORDERS; index++) {
			for (type = 0; type < NR_CACHED_TYPES; type++) {
				const unsigned stack =
				    stacks_of(zone) + index * NR_CACHED_TYPES + type;

				const bool has =
				    zone == 4 && slots && (!arena.movable || type == MT_MOVABLE);

				if (has)
					pcp_give_slots(&mem->zones[zone], mem->pcp[cpu], stack);
				EXPECT(t, mem->pcp[cpu]->stack[stack].slot == (has ? slot : NULL));
				slot += has ? most[index] : 0;
			}
		}
	}
}

/* Arrays allocated before the failure are not allocated again. */
static void lay_out(struct ktest *t, enum zone_kind kind)
{
	/* a cache with the stacks of two nodes' zones */
	static struct {
		u64 part[(sizeof(struct pcp) + 7 * STACKS_PER_ZONE * sizeof(struct pcp_stack)) / 8];
	} pcp[TEST_SLOT_CPUS];
	static struct memory mem;
	struct pcp *by_cpu[TEST_SLOT_CPUS];
	unsigned cpu, fail, i;

	for (fail = 1; fail <= TEST_SLOT_CPUS; fail++) {
		memset(pcp, 0, sizeof(pcp));
		memset(&mem, 0, sizeof(mem));
		memset(&arena, 0, sizeof(arena));
		arena.movable = kind == ZONE_MOVABLE;
		for (cpu = 0; cpu < TEST_SLOT_CPUS; cpu++)
			by_cpu[cpu] = (struct pcp *)&pcp[cpu];
		mem.pcp = by_cpu;
		mem.nr_cpus = TEST_SLOT_CPUS - 1;
		mem.nr_nodes = 2;
		mem.alloc = alloc_slots;
		mem.zones[4] = (struct zone){.mem = &mem, .id = 4, .kind = kind, .node = 1};
		arena.fail_at = fail;
		EXPECT_EQ(t, zone_alloc_slots(&mem.zones[4]), fail < TEST_SLOT_CPUS ? -ENOMEM : 0);
		EXPECT_EQ(t, arena.calls, MIN(fail, TEST_SLOT_CPUS - 1));
		for (cpu = 0; cpu < TEST_SLOT_CPUS; cpu++)
			expect_slots(t, &mem, cpu,
			    cpu + 1 < MIN(fail, TEST_SLOT_CPUS) ? arena.slots[cpu] : NULL);
		if (fail == TEST_SLOT_CPUS)
			continue;
		EXPECT_EQ(t, zone_alloc_slots(&mem.zones[4]), 0);
		EXPECT_EQ(t, arena.calls, TEST_SLOT_CPUS);
		for (cpu = 0; cpu + 1 < TEST_SLOT_CPUS; cpu++) {
			i = cpu + (cpu + 1 >= fail);
			expect_slots(t, &mem, cpu, arena.slots[i]);
		}
		expect_slots(t, &mem, cpu, NULL);
	}
}

KTEST(stacks_are_laid_out_without_gaps)
{
	lay_out(t, ZONE_NORMAL);
	lay_out(t, ZONE_MOVABLE);
}

/* ---- past the caches ---- */

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
