/* SPDX-License-Identifier: MIT */
/*
 * test_disable.c: from the return of zone_pcp_disable until zone_pcp_enable no cache holds a page,
 * whatever other CPUs do; and calls of zone_pcp_disable nest.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/race_free.h"
#include <quarry/poison.h>
#include <quarry/smp.h>

#define MANY 300 /* allocations of each CPU while the caches are off */
static struct page *pages[TEST_MAX_CPUS][2];

/* A memory with one zone, of which every CPU caches two pages. */
static struct memory *all_caching(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, TEST_BLOCKS);
	struct zone *zone;
	unsigned cpu;

	if (!mem)
		return NULL;
	zone = test_zone(mem, ZONE_MOVABLE);
	set_plan(zone, 0, MT_MOVABLE, 2);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		EXPECT_EQ(t, alloc_on(cpu, mem, GFP_MOVABLE, 0, 2, pages[cpu]), 2);
		EXPECT_EQ(t, free_on(cpu, mem, 0, 2, pages[cpu]), 2);
		EXPECT_EQ(t, cached(zone, cpu, 0, MT_MOVABLE), 2);
	}
	return mem;
}

static void expect_off(struct ktest *t, struct zone *zone)
{
	unsigned cpu;

	for (cpu = 0; cpu < zone->mem->nr_cpus; cpu++) {
		EXPECT_EQ(t, capacity_sum(zone, cpu), 0);
		EXPECT(t, !pcp_zone_nonempty(zone->mem, cpu, zone));
	}
}

/* Expect that each CPU gets its capacity back when it refills. */
static void expect_on(struct ktest *t, struct zone *zone)
{
	unsigned cpu;

	EXPECT_EQ(t, zone->pcp_depth, 0);
	for (cpu = 0; cpu < zone->mem->nr_cpus; cpu++) {
		EXPECT_EQ(t, alloc_on(cpu, zone->mem, GFP_MOVABLE, 0, 1, pages[cpu]), 1);
		EXPECT_EQ(
		    t, may_cache(zone, cpu, 0, MT_MOVABLE), zone->pcp_capacity[0][MT_MOVABLE]);
		EXPECT_EQ(t, free_on(cpu, zone->mem, 0, 1, pages[cpu]), 1);
	}
}

KTEST_SUITE(disable, KTEST_QUICK);

KTEST(disable_empties_every_cpu)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	/* All CPUs cache pages, also the one that runs this test. */
	EXPECT_EQ(t, zone_pcp_pages(zone), 2 * mem->nr_cpus);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	expect_off(t, zone);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	expect_on(t, zone);
}

static void put_job(void *arg)
{
	struct page_job *job = arg;

	KASSERT(!mem_put_page(job->mem, job->pages[0]));
}

static void expect_caching_again(struct ktest *t, bool put)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct zone *zone;
	unsigned last;

	zone = test_zone(mem, ZONE_MOVABLE);
	last = mem->nr_cpus - 1;
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, pages[0]), 1);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	if (put)
		ktest_on_cpu(last, put_job, &(struct page_job){.mem = mem, .pages = pages[0]});
	else
		EXPECT_EQ(t, free_on(last, mem, 0, 1, pages[0]), 1);
	EXPECT_EQ(t, cached(zone, last, 0, MT_MOVABLE), 1);
}

KTEST(a_cpu_that_only_frees_caches_again)
{
	expect_caching_again(t, false);
}

KTEST(a_cpu_that_only_puts_caches_again)
{
	expect_caching_again(t, true);
}

/* A zone that is not the first choice caches again too: its refill reads the new capacity. */
KTEST(a_farther_zone_caches_again)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS / 2, TEST_BLOCKS / 2));
	struct zone *near, *farther;

	near = test_zone(mem, ZONE_MOVABLE);
	farther = test_zone(mem, ZONE_NORMAL);
	set_plan(farther, 0, MT_MOVABLE, 2);
	EXPECT_EQ(t, zone_pcp_disable(farther), 0);
	EXPECT_EQ(t, zone_pcp_enable(farther), 0);
	WRITE_ONCE(near->wmark[WMARK_MIN], near->nr_free);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, pages[0]), 1);
	EXPECT(t, zone_of(mem, page_to_pfn_in(mem, pages[0][0])) == farther);
	EXPECT_EQ(t, may_cache(farther, 0, 0, MT_MOVABLE), 2);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages[0]), 1);
	zone_set_watermarks(near);
	restore_plan(farther);
}

KTEST_COST(enable_leaves_it_to_each_cpu)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	expect_off(t, zone);
	expect_on(t, zone);
}

KTEST_COST(disable_sends_ipis_to_cpus_that_read_as_empty)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct drain_cost cost = {0};
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	EXPECT_EQ(t, pcp_disable_counted(zone, &cost), 0);
	EXPECT_EQ(t, cost.rounds, 1);
	EXPECT_EQ(t, cost.ipis, mem->nr_cpus - 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_FORCED), 1);
	expect_off(t, zone);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

/* A disable with the result @err adds no rounds to @cost but those that it has made. */
static void expect_true_cost(struct ktest *t, struct zone *zone, struct drain_cost *cost, int err)
{
	u64 calls = READ_ONCE(smp_stats.calls), ipis = READ_ONCE(smp_stats.ipis);
	struct drain_cost before = *cost;

	EXPECT_EQ(t, pcp_disable_counted(zone, cost), err);
	EXPECT_RANGE(
	    t, cost->rounds - before.rounds, 0, (long long)(READ_ONCE(smp_stats.calls) - calls));
	EXPECT_RANGE(t, cost->ipis - before.ipis, 0, (long long)(READ_ONCE(smp_stats.ipis) - ipis));
}

/*
 * The cost of earlier rounds stays.  A disable may make more rounds than one; a nested or refused
 * one needs none.
 */
KTEST(disable_adds_the_cost_of_its_round)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct drain_cost cost = {.rounds = 5, .ipis = 70};
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	expect_true_cost(t, zone, &cost, 0);
	EXPECT(t, cost.rounds > 5);
	EXPECT(t, cost.ipis >= 70 + mem->nr_cpus - 1);
	expect_true_cost(t, zone, &cost, 0);
	WRITE_ONCE(zone->pcp_depth, 65535u);
	expect_true_cost(t, zone, &cost, -EOVERFLOW);
	WRITE_ONCE(zone->pcp_depth, 1u);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

KTEST(disable_affects_one_zone)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS / 2, TEST_BLOCKS / 2));
	struct zone *off, *on;

	off = test_zone(mem, ZONE_MOVABLE);
	on = test_zone(mem, ZONE_NORMAL);
	set_plan(on, 0, MT_UNMOVABLE, 1);
	EXPECT_EQ(t, zone_pcp_disable(off), 0);
	expect_off(t, off);
	EXPECT_EQ(t, on->pcp_depth, 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_UNMOVABLE, 0, 1, pages[0]), 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages[0]), 1);
	EXPECT_EQ(t, cached(on, 0, 0, MT_UNMOVABLE), 1);
	EXPECT_EQ(t, zone_pcp_enable(off), 0);
	restore_plan(on);
}

KTEST_COST(disable_nests)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, zone->pcp_depth, 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DISABLE), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_FORCED), 1);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	EXPECT_EQ(t, zone->pcp_depth, 1);
	expect_off(t, zone);
	/* Applying the limits again does not switch the caches on. */
	pcp_refresh_all(mem);
	expect_off(t, zone);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	expect_on(t, zone);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DISABLE), 2);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

KTEST(enable_without_disable_is_counted)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, zone_pcp_enable(zone), -EINVAL);
	EXPECT_COUNTED(t, mem, EV_PCP_UNBALANCED, 1);
	EXPECT_EQ(t, zone_pcp_pages(zone), 2 * mem->nr_cpus);
	expect_on(t, zone);
}

KTEST_COST(an_enable_too_many_has_its_event)
{
	struct memory *mem = NEED(t, all_caching(t));

	EXPECT_EQ(t, zone_pcp_enable(test_zone(mem, ZONE_MOVABLE)), -EINVAL);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_UNBALANCED), 1);
}

KTEST(too_many_disables_are_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	WRITE_ONCE(zone->pcp_depth, 65534u);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, zone_pcp_disable(zone), -EOVERFLOW);
	EXPECT_EQ(t, zone->pcp_depth, 65535);
	WRITE_ONCE(zone->pcp_depth, 1u);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	expect_on(t, zone);
}

KTEST(disable_in_a_wrong_context_is_refused)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	int irqs_off, locked;
	struct zone *zone;
	irqflags_t flags;
	u32 depth;

	zone = test_zone(mem, ZONE_MOVABLE);
	/* Also where the caches are off already, and there would be nothing to wait for. */
	for (depth = 0; depth < 2; depth++) {
		flags = arch_irq_save();
		irqs_off = zone_pcp_disable(zone);
		arch_irq_restore(flags);
		spin_lock(&lock);
		locked = zone_pcp_disable(zone);
		spin_unlock(&lock);
		EXPECT_EQ(t, irqs_off, -EDEADLK);
		EXPECT_EQ(t, locked, -EDEADLK);
		EXPECT_EQ(t, zone->pcp_depth, depth);
		EXPECT_EQ(t, zone_pcp_pages(zone), depth ? 0 : 2 * mem->nr_cpus);
		EXPECT_EQ(t, depth ? zone_pcp_enable(zone) : zone_pcp_disable(zone), 0);
	}
	expect_on(t, zone);
}

struct churn {
	struct memory *mem;
	struct zone *zone;
	u32 failed, strays; /* atomic */
	bool expect_off;
};

static void churn(void *arg)
{
	struct churn *c = arg;
	unsigned i;

	for (i = 0; i < MANY; i++) {
		struct page *page = mem_alloc_pages(c->mem, GFP_MOVABLE, i % 4);

		if (!page || mem_free_pages(c->mem, page, i % 4))
			counter_add(&c->failed, 1);
		if (c->expect_off && pcp_zone_nonempty(c->mem, arch_cpu_id(), c->zone))
			counter_add(&c->strays, 1);
	}
}

KTEST(nothing_is_cached_while_disabled)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct churn c = {.mem = mem, .expect_off = true};
	u64 frees;

	c.zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, zone_pcp_disable(c.zone), 0);
	frees = mm_event_sum(mem, EV_FREE_UNCACHED);
	run_from(0, churn, &c);
	EXPECT_EQ(t, c.failed, 0);
	EXPECT_EQ(t, c.strays, 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_FREE_UNCACHED), frees + MANY * mem->nr_cpus);
	expect_off(t, c.zone);
	EXPECT_EQ(t, zone_pcp_enable(c.zone), 0);
	expect_on(t, c.zone);
}

KTEST(disable_works_while_all_cpus_allocate)
{
	struct memory *mem = NEED(t, all_caching(t));
	struct churn c = {.mem = mem};
	unsigned round;

	c.zone = test_zone(mem, ZONE_MOVABLE);
	restore_plan(c.zone);
	start_from(1, churn, &c);
	for (round = 0; round < 20; round++) {
		EXPECT_EQ(t, zone_pcp_disable(c.zone), 0);
		expect_off(t, c.zone);
		EXPECT_EQ(t, zone_pcp_enable(c.zone), 0);
	}
	join_from(1);
	EXPECT_EQ(t, c.failed, 0);
	expect_on(t, c.zone);
}

/* ---- the three cases of pcp_inline.h: the place of a free when the round arrives ---- */

static void expect_page_came_back(struct ktest *t, const struct race_free *race)
{
	struct zone *zone = test_zone(race->mem, ZONE_MOVABLE);

	expect_off(t, zone);
	EXPECT_EQ(t, state_of(race->mem, race->page), PG_FREE);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

/*
 * The caches go off while CPU 1 is held at @point of a free; by then the free has cached @pushed
 * pages.  Does the round wait for the end of the free, and does the free cache its page?
 */
static void disable_meets(
    struct ktest *t, const char *point, unsigned pushed, bool waits, bool caches)
{
	struct race_free race = {.point = point, .until_call = waits};
	struct zone *zone;

	if (!race_free_prepare(t, &race))
		return;
	zone = test_zone(race.mem, ZONE_MOVABLE);
	EXPECT(t, race_free_start(&race, 1));
	EXPECT_EQ(t, cached(zone, 1, 0, MT_MOVABLE), pushed);
	EXPECT_EQ(t, pcp_zone_nonempty(race.mem, 1, zone), pushed != 0);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	race_free_end(t, &race, 1);
	EXPECT(t, !waits || race.called);
	if (caches)
		EXPECT(t, race.cached);
	else
		EXPECT(t, !race.cached);
	expect_page_came_back(t, &race);
}

/* CPU 1 has seen the old capacity and its count still reads 0: the round waits for the push. */
KTEST_INSIDE(a_push_in_progress_is_waited_for)
{
	disable_meets(t, "free.push_pending", 0, true, true);
}

/* The free has read the stack number, but not yet the capacity. */
KTEST_INSIDE(a_free_that_has_read_its_stack_is_waited_for)
{
	disable_meets(t, "free.irqoff", 0, true, true);
}

/* The free still has interrupts on: the round does not wait, the free reads the new capacity. */
KTEST_INSIDE(a_free_before_its_section_reads_the_new_capacity)
{
	disable_meets(t, "free.prep", 0, false, false);
}

KTEST_INSIDE(a_page_already_pushed_is_given_back)
{
	disable_meets(t, "free.done", 1, false, true);
}

/* CPU 1 is about to push a page on a stack that has another page; that other page breaks. */
KTEST_INSIDE(a_page_breaks_in_a_cache_that_is_in_use)
{
	struct race_free race = {.point = "free.push_pending", .until_call = true};
	pfn_t pfn;

	if (!ktest_needs_cpus(t, 2))
		return;
	race.mem = all_caching(t);
	REQUIRE(t, race.mem);
	REQUIRE(t, alloc_on(1, race.mem, GFP_MOVABLE, 0, 1, &race.page) == 1);
	pfn = page_to_pfn_in(race.mem, race.page == pages[1][0] ? pages[1][1] : pages[1][0]);
	EXPECT(t, race_free_start(&race, 1));
	EXPECT_EQ(t, mem_memory_failure(race.mem, pfn, 0, NULL), 0);
	race_free_end(t, &race, 1);
	EXPECT_EQ(t, race.called, 1);
	/* The end of the test checks that no cache has the broken page any more. */
	EXPECT_EQ(t, state_of(race.mem, pfn_to_page_in(race.mem, pfn)), PG_HWPOISON);
	EXPECT_EQ(t, mem_poisoned(race.mem).retired, 1);
}

/* ---- two disables at once ---- */

struct second {
	struct zone *zone;
	u32 returned;              /* atomic */
	unsigned cached, capacity; /* of CPU 1 when zone_pcp_disable returned */
	int err;
};

static void disable_second(void *arg)
{
	struct second *s = arg;

	s->err = zone_pcp_disable(s->zone);
	s->cached = cached(s->zone, 1, 0, MT_MOVABLE);
	s->capacity = capacity_sum(s->zone, 1);
	store_release(&s->returned, 1u);
}

/*
 * CPU 1 is held in the middle of a push, so that the first round cannot end.  The second caller
 * gets every chance to return early before CPU 1 goes on.
 */
KTEST_INSIDE(second_disable_returns_after_the_round)
{
	struct race_free race = {.point = "free.push_pending"};
	struct second first = {.zone = NULL}, second = {.zone = NULL};
	unsigned turn;

	if (!ktest_needs_cpus(t, 4))
		return;
	if (!race_free_prepare(t, &race))
		return;
	first.zone = second.zone = test_zone(race.mem, ZONE_MOVABLE);
	EXPECT(t, race_free_start(&race, 1));
	ktest_start(2, disable_second, &first);
	EXPECT(t, race_wait(&race.called));
	ktest_start(3, disable_second, &second);
	SPIN_UNTIL(READ_ONCE(cpu_hotplug.l.count) >= 2 || load_acquire(&second.returned));
	for (turn = 0; turn < 1000 && !load_acquire(&second.returned); turn++)
		cpu_relax();
	EXPECT_EQ(t, READ_ONCE(second.returned), 0);
	EXPECT_EQ(t, READ_ONCE(first.returned), 0);
	race_free_end(t, &race, 1);
	ktest_join(2);
	ktest_join(3);
	EXPECT_EQ(t, first.err, 0);
	EXPECT_EQ(t, second.err, 0);
	EXPECT_EQ(t, second.cached, 0);
	EXPECT_EQ(t, second.capacity, 0);
	EXPECT_EQ(t, first.zone->pcp_depth, 2);
	EXPECT_COUNTED(t, race.mem, EV_PCP_DISABLE, 1);
	EXPECT_EQ(t, zone_pcp_enable(first.zone), 0);
	expect_page_came_back(t, &race);
}
