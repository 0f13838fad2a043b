/* SPDX-License-Identifier: MIT */
/*
 * test_play_uncached.c: other CPUs act between the unlocked read of a refill, or of an allocation
 * or a free straight from or to a zone, and its lock, and before a spill; and the places of the
 * stacks' slots. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/poison_help.h"
#include <quarry/poison.h>

#define TEST_SLOT_CPUS 4u

/* ---- what other CPUs do ---- */

static struct zone *zone; /* the zone of the test */
static struct pile taken;
static unsigned long keep;

/* Other CPUs take all but @keep pages. */
static void take_all_but_some(void)
{
	while (zone->nr_free > keep)
		pile_push(&taken, take_block(zone, 0, MT_MOVABLE));
}

static void give_all(void)
{
	while (taken.top)
		give_block(zone, pile_pop(&taken));
}

static struct page *held; /* which this CPU frees */

static void break_it(void)
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
	gfp_t gfp;
	struct page *page;
};

static void refill(void *arg)
{
	struct refill *r = arg;

	r->page = AT(
	    pcp_alloc_zone(zone, r->gfp, 0, false), .lock = &zone->lock, .act = take_all_but_some);
	EXPECT_EQ(r->t, moment.acted, 1);
	EXPECT(r->t, arch_irqs_enabled() && !spin_is_held(&zone->lock));
}

/*
 * Refill while other CPUs take pages until @left remain. @got: the caller gets a page, and @cached
 * more are cached.
 */
static void expect_refill(struct ktest *t, gfp_t gfp, unsigned long left, bool got, unsigned cached)
{
	struct refill r = {.t = t, .gfp = gfp};
	u64 direct = mm_event_sum(zone->mem, EV_ALLOC_UNCACHED),
	    refills = mm_event_sum(zone->mem, EV_PCP_REFILL);

	keep = left;
	ktest_on_cpu(0, refill, &r);
	EXPECT_EQ(t, r.page != NULL, got);
	EXPECT_EQ(t, zone_pcp_pages(zone), cached);
	EXPECT_EQ(t, zone->nr_free, left - got - cached);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_ALLOC_UNCACHED), direct + got);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_PCP_REFILL), refills + (cached > 0));
	if (r.page)
		give_block(zone, r.page);
	give_all();
	drain_all_pages(zone->mem, NULL);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
}

KTEST(refill_stops_at_the_watermark_after_other_cpus)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, CACHED_BLOCKS));
	unsigned long min;

	zone = &mem->zones[ZONE_MOVABLE];
	zone->pcp_capacity[0][MT_MOVABLE] = 8;
	pcp_refresh_all(mem);
	min = zone->wmark[WMARK_MIN];
	EXPECT(t, min > 8);
	expect_refill(t, GFP_MOVABLE, min + 9, true, 7);
	expect_refill(t, GFP_MOVABLE, min + 4, true, 3);
	expect_refill(t, GFP_MOVABLE, min + 1, true, 0);
	expect_refill(t, GFP_MOVABLE, min, false, 0);
	expect_refill(t, GFP_MOVABLE, 0, false, 0);
	/*
	 * Below the watermark a request that may use the reserve gets one page, and the cache gets
	 * none.
	 */
	expect_refill(t, GFP_MOVABLE | GFP_RESERVE, min, true, 0);
	expect_refill(t, GFP_MOVABLE | GFP_RESERVE, min / 2, false, 0);
	expect_refill(t, GFP_MOVABLE | GFP_ALL_RESERVE, 1, true, 0);
	expect_refill(t, GFP_MOVABLE | GFP_ALL_RESERVE, 0, false, 0);
	expect_refill(t, GFP_MOVABLE | GFP_ALL_RESERVE, min + 3, true, 2);
	/* Without a watermark all free pages may be taken, and no more. */
	zone->wmark[WMARK_MIN] = 0;
	expect_refill(t, GFP_MOVABLE, 3, true, 2);
	expect_refill(t, GFP_MOVABLE, 1, true, 0);
	expect_refill(t, GFP_MOVABLE, 0, false, 0);
	zone_set_watermarks(zone);
	set_limits(zone, 0);
	pcp_refresh_all(mem);
}

/* ---- between the caller's read of the word and the capacity ---- */

static void spill(void *arg)
{
	EXPECT((struct ktest *)arg, pcp_free_slow(zone->mem, held, 0, PAGE_WORD(1, PG_ALLOC, 0)));
}

/* The page is flagged while the caches are off, as by memory_failure; then they are on again. */
KTEST(a_page_that_breaks_before_a_spill_is_not_cached)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, CACHED_BLOCKS));

	zone = &mem->zones[ZONE_MOVABLE];
	held = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	break_it();
	store_release(&zone->pcp_depth, 0);
	ktest_on_cpu(0, spill, t);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
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
	unsigned id, index, type;

	for (id = 0; id < mem->nr_nodes * NR_ZONE_KINDS; id++) {
		struct page **slot = slots;

		for (index = 0; index < NR_CACHED_ORDERS; index++) {
			for (type = 0; type < NR_CACHED_TYPES; type++) {
				const unsigned stack =
				    stacks_of(id) + index * NR_CACHED_TYPES + type;

				const bool has =
				    id == 4 && slots && (!arena.movable || type == MT_MOVABLE);

				if (has)
					pcp_give_slots(&mem->zones[id], mem->pcp[cpu], stack);
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

/* An allocation or a free; meanwhile, before it has the lock, other CPUs do @others. */
struct job {
	struct ktest *t;
	void (*others)(void);
	struct page *page;
	unsigned locks;
	bool done;
};

static void past_the_caches(struct job *job, bool allocs)
{
	if (allocs)
		job->page = AT(alloc_uncached(zone->mem, GFP_MOVABLE, 0), .lock = &zone->lock,
		    .act = job->others);
	else
		job->done = AT(free_uncached(zone->mem, job->page, 0), .lock = &zone->lock,
		    .act = job->others);
	job->locks = moment.seen;
	EXPECT_EQ(job->t, moment.acted, job->others != NULL);
	EXPECT(job->t, arch_irqs_enabled() && !spin_is_held(&zone->lock));
}

static void alloc_job(void *arg)
{
	past_the_caches(arg, true);
}

static void free_job(void *arg)
{
	past_the_caches(arg, false);
}

/* A zone whose caches are off, so that all orders go straight to it. */
static bool begin(struct ktest *t, struct job *job)
{
	struct memory *mem = ktest_memory(t, 0, 0, CACHED_BLOCKS);

	*job = (struct job){.t = t};
	zone = mem ? &mem->zones[ZONE_MOVABLE] : NULL;
	return mem && !zone_pcp_disable(zone);
}

static unsigned long least(void)
{
	return zone->wmark[WMARK_MIN] + zone->wmark[WMARK_LOW] + zone->reserve;
}

KTEST(a_zone_with_plenty_gives_a_page)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	keep = least() + 1;
	take_all_but_some();
	ktest_on_cpu(0, alloc_job, &job);
	REQUIRE(t, job.page);
	EXPECT_EQ(t, job.locks, 1);
	EXPECT_EQ(t, page_word(job.page), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_ALLOC_UNCACHED), 1);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_ALLOC_SLOW), 1);
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, job.done);
	EXPECT_EQ(t, job.locks, 1);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_FREE_UNCACHED), 1);
	/* With one page fewer the slow path decides. */
	keep--;
	take_all_but_some();
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !job.page);
	EXPECT_EQ(t, job.locks, 0);
	give_all();
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

KTEST(none_is_taken_below_it_after_other_cpus)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	keep = least();
	job.others = take_all_but_some;
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !job.page);
	EXPECT_EQ(t, zone->nr_free, keep);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_ALLOC_SLOW), 0);
	give_all();
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

KTEST(a_cache_that_is_on_is_not_passed_by)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	job.page = NEED(t, mem_alloc_pages(zone->mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	set_plan(zone, 0, MT_MOVABLE, 4);
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, !job.done && job.locks == 0);
	EXPECT_EQ(t, mem_free_pages(zone->mem, job.page, 0), 0);
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !job.page && job.locks == 0);
	restore_plan(zone);
}

static void free_it_first(void)
{
	KASSERT(!mem_free_pages(zone->mem, held, 0));
}

/* A change of a page before its free takes the lock is noticed and left to the slow path. */
KTEST(the_word_is_read_again_under_the_lock)
{
	struct job job;

	REQUIRE(t, begin(t, &job));
	job.page = held = NEED(t, mem_alloc_pages(zone->mem, GFP_MOVABLE, 0));
	job.others = break_it;
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, !job.done);
	EXPECT_EQ(t, page_word(held) & ~PAGE_POISON, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT(t, page_word(held) & PAGE_POISON);
	EXPECT_EQ(t, mem_free_pages(zone->mem, held, 0), 0);
	EXPECT(t, is_retired(zone->mem, page_to_pfn_in(zone->mem, held)));
	EXPECT_EQ(t, mem_unpoison_page(zone->mem, page_to_pfn_in(zone->mem, held)), 0);
	job.page = held = NEED(t, mem_alloc_pages(zone->mem, GFP_MOVABLE, 0));
	job.others = free_it_first;
	ktest_on_cpu(0, free_job, &job);
	EXPECT(t, !job.done);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_BAD_FREE), 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

/* ---- lent pages ---- */

static pfn_t area; /* a lent pageblock */

/* Other CPUs end the isolation of the lent pageblock, and take all but @keep of the other pages. */
static void end_isolation(void)
{
	set_isolated(zone, area, false);
	while (zone->nr_free - zone->nr_free_cma > keep)
		pile_push(&taken, take_block(zone, 0, MT_MOVABLE));
}

/* Lent pages that come just before the lock is taken do not stand in for those that are gone. */
KTEST(lent_pages_that_come_do_not_count)
{
	struct job job = {.t = t, .others = end_isolation};

	zone = &NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0))->zones[ZONE_NORMAL];
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	area = zone->end_pfn - PAGEBLOCK_PAGES;
	set_type(zone, area, MT_CMA);
	set_isolated(zone, area, true);
	keep = least();
	ktest_on_cpu(0, alloc_job, &job);
	EXPECT(t, !job.page);
	EXPECT_EQ(t, job.locks, 1);
	EXPECT_EQ(t, zone->nr_free, keep + PAGEBLOCK_PAGES);
	give_all();
	set_type(zone, area, MT_MOVABLE);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}
