/* SPDX-License-Identifier: MIT */
/*
 * test_step_isolation.c: pageblocks that change between two steps of an isolation.  It includes the
 * source of mm/hotplug/page_isolation.c, and acts at the scheduling points of the copy.  Hosted
 * only.
 */
#include "tests/lib/add_help.h"
#include <quarry/isolation.h>

static struct {
	struct ktest *t;
	struct memory *mem;
	pfn_t pfn; /* the pageblock that goes to node 1 after the next lock hold; 0: none */
} steps;

static void steps_point(const char *name)
{
	pfn_t pfn = steps.pfn;

	if (!pfn || strcmp(name, "iso.block_set") != 0)
		return;
	steps.pfn = 0;
	EXPECT_EQ(steps.t, offline_pages(steps.mem, pfn, BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(steps.t, remove_memory(steps.mem, pfn, BLOCK(1)), 0);
	add_online(steps.t, steps.mem, pfn, BLOCK(1), 1);
}

int steps_isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost);
enum mm_why steps_blocker_reason(const struct zone *zone, pfn_t pfn, bool arriving);
int steps_scan(struct zone *zone, struct pfn_range range, struct mm_fail *fail);
void steps_drain_local(struct zone *zone);
int steps_drain(struct memory *mem);
void steps_undo(struct memory *mem, pfn_t start, unsigned long nr);
int steps_test(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail);

#define isolate_range            steps_isolate_range
#define blocker_reason           steps_blocker_reason
#define scan_unmovable           steps_scan
#define pcp_drain_isolated_local steps_drain_local
#define drain_isolated_pages     steps_drain
#define undo_isolate_page_range  steps_undo
#define test_pages_isolated      steps_test
#undef SCHED_POINT
#define SCHED_POINT(name) steps_point(name)
#include <quarry/sched_point.h>
#include "mm/hotplug/page_isolation.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void expect_refused(struct ktest *t, pfn_t start, enum iso_policy policy)
{
	struct memory *mem = steps.mem;
	struct drain_cost cost = {0};
	struct mm_fail fail = {0};

	steps.pfn = start + BLOCK(1);
	EXPECT_EQ(t,
	    steps_isolate_range(mem, pfn_range(start, BLOCK(2)), iso_ops(policy), &fail, &cost),
	    -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_ZONES);
	EXPECT_EQ(t, fail.pfn, start + BLOCK(1));
	EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].nr_isolated, 0);
	EXPECT_EQ(t, mem->zones[NR_ZONE_KINDS + ZONE_MOVABLE].nr_isolated, 0);
	EXPECT_EQ(t, cost.rounds, 0);
}

KTEST_SUITE(isolation_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* A pageblock is removed, and comes back as memory of another node, with another zone lock. */
KTEST(pageblock_that_moves_to_another_zone_is_refused)
{
	static const struct zone_spec specs[] = {
	    {0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE}, {1, ZONE_MOVABLE, SIZE}};
	struct memory *mem = NEED(t, growing(t, 2, specs, ARRAY_SIZE(specs)));
	pfn_t start = START + BLOCK(SIZE + 1);
	unsigned policy;

	steps.t = t;
	steps.mem = mem;
	mem->blocks_at_once = 1;
	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		if (policy == ISO_DISABLE)
			continue;
		expect_refused(t, start, (enum iso_policy)policy);
		start += BLOCK(2);
	}
	all_caches_off(t, mem);
	expect_refused(t, start, ISO_DISABLE);
	drop_memory(t, mem);
}
