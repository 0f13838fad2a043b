/* SPDX-License-Identifier: MIT */
/*
 * test_drain_bounds.c: drains of a memory with one CPU, and of the last zone of the largest number
 * of nodes; and that one round runs at a time.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/wait_help.h"
#include <quarry/isolation.h>
#include <quarry/lock.h>

/* ---- every CPU ---- */

struct asking {
	struct memory *mem;
	int drained, isolated;
};

static void job_ask(void *arg)
{
	struct asking *a = arg;

	a->drained = drain_all_pages(a->mem, NULL);
	a->isolated = drain_isolated_pages(a->mem);
}

KTEST_SUITE(drain_bounds, KTEST_QUICK);

static void do_without_a_cache(void *arg)
{
	struct memory *mem = arg;
	irqflags_t flags;

	drain_local_pages(mem, NULL);
	trace_page(mem, TR_put, 1, 0);
	MM_EVENT(mem, QUARANTINED);
	flags = arch_irq_save();
	pcp_cpu_leave(mem);
	pcp_cpu_join(mem);
	arch_irq_restore(flags);
}

/* Only CPU 0 has a cache of the memory: other CPUs have nothing to drain, and get no IPI. */
KTEST_COST(cpus_without_a_cache_get_no_ipi)
{
	struct asking a = {.drained = -1};
	struct memory_config cfg;
	struct trace_hit hit[2];

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, bare_config(t, &cfg, 0, 4));
	cfg.nr_cpus = cfg.thread_cpus = 1;
	a.mem = cfg.alloc(cfg.arg, sizeof(*a.mem));
	REQUIRE(t, a.mem && !memory_init(a.mem, &cfg));
	REQUIRE(t, !memory_add_zone(a.mem, 0, ZONE_NORMAL, 0, cfg.end_pfn));
	memory_add_ram(a.mem, 0, cfg.end_pfn);
	memory_free_range(a.mem, 0, cfg.end_pfn);
	REQUIRE(t, begin_memory(t, a.mem, 0));
	ktest_on_cpu(0, job_ask, &a);
	EXPECT_EQ(t, a.drained, 0);
	EXPECT_EQ(t, a.isolated, 0);
	ktest_on_cpu(1, job_ask, &a);
	EXPECT_EQ(t, a.drained, 0);
	EXPECT_EQ(t, a.isolated, 1);
	ktest_on_cpu(1, do_without_a_cache, a.mem);
	EXPECT_EQ(t, mm_event_sum(a.mem, EV_QUARANTINED), 1);
	EXPECT_EQ(t, trace_find(a.mem, 1, hit, 2), 0);
	pcp_zones_changed(a.mem);
	pcp_refresh_all(a.mem);
	EXPECT_EQ(t, memory_free_pages(a.mem), memory_managed_pages(a.mem));
	drop_memory(t, a.mem);
}

/* ---- every zone ---- */

struct last {
	struct memory *mem;
	struct zone *zone;
	struct page *page;
};

static void drain_here(void *arg)
{
	drain_local_pages(arg, NULL);
}

static void cache_of_the_last(void *arg)
{
	struct last *l = arg;

	l->page = pcp_alloc_zone(l->zone, GFP_MOVABLE, 0, false);
	drain_local_pages(l->mem, NULL);
	if (l->page)
		mem_free_pages(l->mem, l->page, 0);
}

/* With the maximum number of nodes the last zone is drained, and nothing beyond it is read. */
KTEST(last_zone_is_drained)
{
	struct zone_spec specs[MAX_NODES];
	struct last l = {.page = NULL};
	unsigned i;

	for (i = 0; i < MAX_NODES; i++)
		specs[i] = (struct zone_spec){(u8)i, ZONE_MOVABLE, 2};
	l.mem = build_memory(t, MAX_NODES, NULL, specs, MAX_NODES);
	REQUIRE(t, l.mem);
	l.zone = &l.mem->zones[MAX_ZONES - 1];
	l.zone->pcp_capacity[0][MT_MOVABLE] = 2;
	pcp_refresh_all(l.mem);
	ktest_on_cpu(0, cache_of_the_last, &l);
	REQUIRE(t, l.page);
	EXPECT_EQ(t, zone_pcp_pages(l.zone), 1);
	EXPECT(t, drain_all_pages(l.mem, NULL) >= 0);
	EXPECT_EQ(t, zone_pcp_pages(l.zone), 0);
	ktest_on_cpu(0, cache_of_the_last, &l);
	ktest_on_cpu(0, drain_here, l.mem);
	EXPECT_EQ(t, zone_pcp_pages(l.zone), 0);
	EXPECT(t, drain_all_pages(l.mem, NULL) == 0);
	EXPECT(t, drain_isolated_pages(l.mem) >= 0);
	set_limits(l.zone, 0);
	pcp_refresh_all(l.mem);
	drop_memory(t, l.mem);
}

/* ---- one round at a time ---- */

struct turn {
	struct memory *mem;
	unsigned what;
	u32 done; /* atomic */
};

enum { ALL, ISOLATED, REFRESH, FIRST, DISABLE, ENABLE, NR_ROUNDS };

static void make_round(void *arg)
{
	struct turn *turn = arg;
	struct zone *zone = &turn->mem->zones[ZONE_NORMAL];

	switch (turn->what) {
	case ALL: drain_all_pages(turn->mem, NULL); break;
	case ISOLATED: drain_isolated_pages(turn->mem); break;
	case REFRESH: pcp_refresh_all(turn->mem); break;
	case FIRST: pcp_zones_changed(turn->mem); break;
	case DISABLE: KASSERT(!zone_pcp_disable(zone)); break;
	default: KASSERT(!zone_pcp_enable(zone)); break;
	}
	store_release(&turn->done, 1u);
}

static bool cache_one(struct memory *mem)
{
	struct page *page = mem_alloc_pages(mem, GFP_KERNEL, 0);

	return page && !mem_free_pages(mem, page, 0);
}

/* The test holds the lock as a drain round would: each kind of round waits for it. */
KTEST_INSIDE(one_drain_round_runs_at_a_time, KTEST_SLOW)
{
	struct turn turn = {
	    .mem = ktest_memory(t, 0, MAX(2u, 512u / (unsigned)PAGEBLOCK_PAGES), 0)};

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, turn.mem);
	for (turn.what = 0; turn.what < NR_ROUNDS; turn.what++) {
		turn.done = 0;
		mutex_lock(&turn.mem->pcp_ctl);
		/* A drain of empty caches makes no round. */
		drain_local_pages(turn.mem, NULL);
		EXPECT_EQ(t, drain_all_pages(turn.mem, NULL), 0);
		REQUIRE(t, cache_one(turn.mem));
		ktest_start(1, make_round, &turn);
		EXPECT(t,
		    YIELD_UNTIL(
		        sleep_lock_waiters(&turn.mem->pcp_ctl.l) || load_acquire(&turn.done)));
		EXPECT_EQ(t, load_acquire(&turn.done), 0);
		mutex_unlock(&turn.mem->pcp_ctl);
		ktest_join(1);
		EXPECT_EQ(t, load_acquire(&turn.done), 1);
	}
}

/* ---- rounds of one zone and of all ---- */

static void drain_one_zone(void *arg)
{
	struct memory *mem = arg;

	KASSERT(drain_all_pages(mem, &mem->zones[ZONE_NORMAL]) >= 0);
}

static void drain_all_zones(void *arg)
{
	KASSERT(drain_all_pages(arg, NULL) >= 0);
}

/* Start @drain on @cpu and wait until it waits for its turn, as number @nr of those that wait. */
static bool drain_waits(struct memory *mem, unsigned cpu, void (*drain)(void *), unsigned nr)
{
	ktest_start(cpu, drain, mem);
	return YIELD_UNTIL(sleep_lock_waiters(&mem->pcp_ctl.l) == nr);
}

/*
 * A drain of all zones waits behind a drain of one zone, whose round begins later than both. That
 * round drains no other zone, so the drain of all zones makes a round of its own.
 */
KTEST_INSIDE(round_of_one_zone_does_not_serve_a_drain_of_all)
{
	const unsigned blocks = MAX(2u, 512u / (unsigned)PAGEBLOCK_PAGES);
	struct memory *mem = ktest_memory(t, 0, blocks, blocks);
	struct page *page;

	if (!ktest_needs_cpus(t, 3))
		return;
	REQUIRE(t, mem);
	drain_local_pages(mem, NULL);
	REQUIRE(t, cache_one(mem));
	page = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	REQUIRE(t, page && !mem_free_pages(mem, page, 0));
	EXPECT(t, zone_pcp_pages(&mem->zones[ZONE_MOVABLE]) > 0);
	mutex_lock(&mem->pcp_ctl);
	EXPECT(t, drain_waits(mem, 1, drain_one_zone, 1));
	EXPECT(t, drain_waits(mem, 2, drain_all_zones, 2));
	mutex_unlock(&mem->pcp_ctl);
	ktest_join(1);
	ktest_join(2);
	EXPECT_EQ(t, zone_pcp_pages(&mem->zones[ZONE_NORMAL]), 0);
	EXPECT_EQ(t, zone_pcp_pages(&mem->zones[ZONE_MOVABLE]), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_ROUNDS), 2);
}
