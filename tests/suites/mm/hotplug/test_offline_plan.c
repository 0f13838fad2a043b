/* SPDX-License-Identifier: MIT */
/* test_offline_plan.c: cache limits that other threads set while a range leaves the zone. */
#include "tests/lib/mm_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/lock.h>

#define ROUNDS 200

struct plans {
	struct zone *zone;
	unsigned nr; /* threads that set limits */
	u32 round;   /* atomic: number of the offline that is about to commit; 0: none yet */
	u32 begun;   /* atomic: rounds that planners have begun, all together */
	u32 stop;    /* atomic */
};

struct planner {
	struct plans *plans;
	unsigned wrong;
};

/* Sets the limits as standby_online does, but waits for the hotplug lock. */
static void plan_once(struct planner *p)
{
	struct zone *zone = p->plans->zone;
	unsigned long bound = 0;
	unsigned index;

	hotplug_lock(zone->mem);
	zone_reset_limits(zone);
	for (index = 0; index < NR_CACHED_ORDERS; index++)
		bound += (unsigned long)zone->pcp_capacity[index][MT_MOVABLE] << index_order(index);
	p->wrong += bound * zone->mem->nr_cpus > READ_ONCE(zone->managed) / 16;
	hotplug_unlock(zone->mem);
}

static void plan_again(void *arg)
{
	struct planner *p = arg;
	u32 round = 0;

	while (!load_acquire(&p->plans->stop)) {
		if (load_acquire(&p->plans->round) != round) {
			round++;
			atomic_add(&p->plans->begun, 1u);
		}
		plan_once(p);
	}
}

/* Starts a round and waits until each planner has begun it; the caller commits next. */
static void next_round(void *arg)
{
	struct plans *plans = arg;

	store_release(&plans->round, plans->round + 1);
	YIELD_UNTIL(load_acquire(&plans->begun) == plans->round * plans->nr);
}

/* Pageblocks [2, 2 + @going) of @blocks go offline and come back online @rounds times. */
static void go_beside_planners(struct ktest *t, unsigned blocks, unsigned going, unsigned rounds)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, blocks));
	struct planner planner[TEST_MAX_CPUS];
	struct plans plans = {0};
	const struct offline_opts opts = {.on_commit = next_round, .arg = &plans};
	unsigned cpu, round;

	plans.zone = test_zone(mem, ZONE_MOVABLE);
	plans.nr = ktest_cpus() - 1;
	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		planner[cpu] = (struct planner){.plans = &plans};
		ktest_start(cpu, plan_again, &planner[cpu]);
	}
	for (round = 0; round < rounds; round++) {
		EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(going), &opts, NULL), 0);
		EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(going), NULL), 0);
	}
	EXPECT_EQ(t, plans.round, rounds);
	store_release(&plans.stop, 1u);
	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		ktest_join(cpu);
		EXPECT_EQ(t, planner[cpu].wrong, 0);
	}
}

KTEST_SUITE(offline_plan, 0);

/* A range that is offline and still claimed must not be subtracted from the zone twice. */
KTEST_INSIDE(cache_limits_count_a_leaving_range_once)
{
	go_beside_planners(t, 16, 12, ROUNDS);
}

/* Planners run between the parts of the commit; the first part takes 64 pageblocks. */
KTEST_COST(long_range_is_committed_in_several_holds)
{
	go_beside_planners(t, 72, 66, ROUNDS / 20);
}

/* ---- the caches follow ---- */

/* The most pages that all CPUs may cache of a zone, by the limits that they have applied. */
static unsigned long may_cache_all(const struct zone *zone)
{
	unsigned long pages = 0;
	unsigned cpu, index;

	for (cpu = 0; cpu < zone->mem->nr_cpus; cpu++)
		for (index = 0; index < NR_CACHED_ORDERS; index++)
			pages += (unsigned long)may_cache(zone, cpu, index_order(index), MT_MOVABLE)
			    << index_order(index);
	return pages;
}

/* The pages that stay online: at least a pageblock, and so few that the limits are cut. */
#define STAYS MAX(PAGEBLOCK_PAGES, 32ul)

/* A CPU that cached nothing gets the new limits too, though a masked round sends it no IPI. */
KTEST(offline_cuts_the_caches_of_every_cpu)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 16 * STAYS / PAGEBLOCK_PAGES));
	struct zone *zone;
	unsigned policy;
	pfn_t first;

	zone = test_zone(mem, ZONE_MOVABLE);
	first = zone->start_pfn + STAYS;
	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		struct offline_opts opts = {.policy = (enum iso_policy)policy};
		u64 forced = mm_event_sum(mem, EV_DRAIN_FORCED);

		/* With all memory online the limits are larger. */
		pcp_refresh_all(mem);
		EXPECT(t, may_cache_all(zone) > STAYS / 16);
		EXPECT_EQ(t, offline_pages(mem, first, 15 * STAYS, &opts, NULL), 0);
		EXPECT_EQ(t, zone->managed, STAYS);
		EXPECT(t, may_cache_all(zone) <= STAYS / 16);
		EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_FORCED), forced + 1);
		EXPECT_EQ(t, online_pages(mem, first, 15 * STAYS, NULL), 0);
	}
}

/* ---- an offline gets the lock ---- */

#define GOING BLOCK(12)

struct greedy {
	struct memory *mem;
	u32 round;    /* atomic: number of the offline about to commit */
	u32 holds;    /* atomic: rounds in which this thread has held the lock */
	unsigned off; /* rounds in which the offline got the lock before this thread got it again */
	u32 looked;   /* atomic: rounds that this thread has checked for @off */
	u32 stop;     /* atomic */
};

/* Releases the lock while the offline waits for it, and takes it again at once. */
static void take_again(void *arg)
{
	struct greedy *g = arg;

	while (!load_acquire(&g->stop)) {
		if (load_acquire(&g->round) == READ_ONCE(g->holds)) {
			thread_yield();
			continue;
		}
		hotplug_lock(g->mem);
		atomic_add(&g->holds, 1u);
		YIELD_UNTIL(sleep_lock_waiters(&g->mem->hotplug.l));
		hotplug_unlock(g->mem);
		hotplug_lock(g->mem);
		g->off += range_count(g->mem, pfn_range(BLOCK(2), GOING), PB_OFFLINE) ==
		    GOING / PAGEBLOCK_PAGES;
		hotplug_unlock(g->mem);
		atomic_add(&g->looked, 1u);
	}
}

static void while_it_is_held(void *arg)
{
	struct greedy *g = arg;

	atomic_add(&g->round, 1u);
	YIELD_UNTIL(load_acquire(&g->holds) == READ_ONCE(g->round));
}

KTEST(offline_gets_the_hotplug_lock_in_turn)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));
	struct greedy g = {.mem = mem};
	const struct offline_opts opts = {.on_commit = while_it_is_held, .arg = &g};
	unsigned round;

	if (!ktest_needs_cpus(t, 2))
		return;
	ktest_start(1, take_again, &g);
	for (round = 0; round < ROUNDS; round++) {
		EXPECT_EQ(t, offline_pages(mem, BLOCK(2), GOING, &opts, NULL), 0);
		EXPECT(t, YIELD_UNTIL(load_acquire(&g.looked) == READ_ONCE(g.round)));
		EXPECT_EQ(t, online_pages(mem, BLOCK(2), GOING, NULL), 0);
	}
	store_release(&g.stop, 1u);
	ktest_join(1);
	EXPECT_EQ(t, g.off, ROUNDS);
}
