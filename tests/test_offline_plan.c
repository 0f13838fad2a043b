/* SPDX-License-Identifier: MIT */
/*
 * test_offline_plan.c: what the caches may hold, planned by others while a range leaves the zone.
 */
#include "mm_help.h"

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ROUNDS   500
#define PLANS    100 /* of each planner in a round: they must not keep the offline from its lock for ever */

struct plans {
	struct zone *zone;
	u32 round; /* a: of the offline that is about to commit; 0: none yet */
	u32 stop;  /* a */
};

struct planner {
	struct plans *plans;
	unsigned done, wrong;
};

/* As standby_online does for another part of the zone. */
static void plan_once(struct planner *p)
{
	struct zone *zone = p->plans->zone;
	unsigned long bound = 0;
	unsigned index;

	if (!hotplug_trylock(zone->mem))
		return;
	zone_plan_claimed(zone);
	for (index = 0; index < NR_CACHED_ORDERS; index++)
		bound += (unsigned long)zone->pcp_capacity[index][MT_MOVABLE] << index_order(index);
	p->wrong += bound * zone->mem->nr_cpus > READ_ONCE(zone->managed) / 16;
	p->done++;
	hotplug_unlock(zone->mem);
}

static void plan_again(void *arg)
{
	struct planner *p = arg;
	u32 round = 0;
	unsigned i;

	while (!load_acquire(&p->plans->stop)) {
		if (load_acquire(&p->plans->round) == round) {
			cpu_relax();
			continue;
		}
		round = load_acquire(&p->plans->round);
		for (i = 0; i < PLANS; i++) {
			plan_once(p);
			cpu_relax();
		}
	}
}

static void next_round(void *arg)
{
	struct plans *plans = arg;

	store_release(&plans->round, plans->round + 1);
}

/* A range that has gone and is still claimed would be taken off the zone twice. */
static void who_plans_counts_what_goes_once(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, 16);
	struct planner planner[TEST_MAX_CPUS];
	struct plans plans = {0};
	const struct offline_opts opts = {.on_commit = next_round, .arg = &plans};
	unsigned cpu, round, done = 0;

	REQUIRE(t, mem);
	plans.zone = test_zone(mem, ZONE_MOVABLE);
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
		done += planner[cpu].done;
	}
	EXPECT(t, ktest_cpus() == 1 || done > 0);
}

KTEST_SUITE(offline_plan, 0, KTEST(who_plans_counts_what_goes_once));
