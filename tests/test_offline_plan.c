/* SPDX-License-Identifier: MIT */
/*
 * test_offline_plan.c: what the caches may hold, planned by others while a range leaves the zone.
 */
#include "mm_help.h"

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ROUNDS   200
#define PLANS    100 /* of each planner in a round: they must not keep the offline from its lock for ever */

struct plans {
	struct zone *zone;
	unsigned nr; /* planners */
	u32 round;   /* a: of the offline that is about to commit; 0: none yet */
	u32 begun;   /* a: rounds that planners have begun, all together */
	u32 stop;    /* a */
};

struct planner {
	struct plans *plans;
	unsigned wrong;
};

/* As standby_online does for another part of the zone.  False: somebody has the lock. */
static bool plan_once(struct planner *p)
{
	struct zone *zone = p->plans->zone;
	unsigned long bound = 0;
	unsigned index;

	if (!hotplug_trylock(zone->mem))
		return false;
	zone_plan_claimed(zone);
	for (index = 0; index < NR_CACHED_ORDERS; index++)
		bound += (unsigned long)zone->pcp_capacity[index][MT_MOVABLE] << index_order(index);
	p->wrong += bound * zone->mem->nr_cpus > READ_ONCE(zone->managed) / 16;
	hotplug_unlock(zone->mem);
	return true;
}

static void plan_again(void *arg)
{
	struct planner *p = arg;
	u32 round = 0;
	unsigned i;
	bool done;

	while (!load_acquire(&p->plans->stop)) {
		if (load_acquire(&p->plans->round) == round) {
			thread_yield();
			continue;
		}
		round++;
		atomic_add(&p->plans->begun, 1u);
		for (i = 0, done = false; i < PLANS || !done; i++) {
			done |= plan_once(p);
			cpu_relax();
		}
	}
}

/* All planners plan from now on; the caller commits next. */
static void next_round(void *arg)
{
	struct plans *plans = arg;

	store_release(&plans->round, plans->round + 1);
	while (load_acquire(&plans->begun) != plans->round * plans->nr)
		thread_yield();
}

/* A range that has gone and is still claimed would be taken off the zone twice. */
static void who_plans_counts_what_goes_once(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, 16);
	struct planner planner[TEST_MAX_CPUS];
	struct plans plans = {0};
	const struct offline_opts opts = {.on_commit = next_round, .arg = &plans};
	unsigned cpu, round;

	REQUIRE(t, mem);
	plans.zone = test_zone(mem, ZONE_MOVABLE);
	plans.nr = ktest_cpus() - 1;
	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		planner[cpu] = (struct planner){.plans = &plans};
		ktest_start(cpu, plan_again, &planner[cpu]);
	}
	for (round = 0; round < ROUNDS; round++) {
		EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(12), &opts, NULL), 0);
		EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(12), NULL), 0);
	}
	EXPECT_EQ(t, plans.round, ROUNDS);
	store_release(&plans.stop, 1u);
	for (cpu = 1; cpu < ktest_cpus(); cpu++) {
		ktest_join(cpu);
		EXPECT_EQ(t, planner[cpu].wrong, 0);
	}
}

KTEST_SUITE(offline_plan, 0, KTEST(who_plans_counts_what_goes_once));
