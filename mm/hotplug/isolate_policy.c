/* SPDX-License-Identifier: MIT */
/*
 * isolate_policy.c: the policies of isolation, each a set of functions called by isolate_range,
 * evacuate and their callers (page_isolation.c says why each policy is right).
 *
 * Owns:       the table of policies.
 * Locks:      none of its own; the rounds take cpu_hotplug and pcp_ctl.
 * Invariants: the function leave is called after each call of enter that returned 0.
 * Tests:      isolation, offline_race, cover.
 */
#include "mm/core/event.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include <quarry/isolation.h>

static int nothing(struct zone *zone, struct drain_cost *cost)
{
	return 0;
}

/* An operation enters: from now on pageblocks may be isolated. */
static int begin(struct zone *zone, struct drain_cost *cost)
{
	atomic_add(&zone->mem->nr_isolating, 1u);
	return 0;
}

/* An operation leaves: it has isolated nothing, or undone it, or its pageblocks are offline. */
static int end(struct zone *zone, struct drain_cost *cost)
{
	atomic_sub(&zone->mem->nr_isolating, 1u);
	return 0;
}

static int counted(int asked, struct drain_cost *cost)
{
	cost->rounds++;
	cost->ipis += (unsigned)MAX(asked, 0);
	return MIN(asked, 0);
}

static int masked_round(struct zone *zone, struct drain_cost *cost)
{
	return counted(drain_all_pages(zone->mem, zone), cost);
}

static int precise_round(struct zone *zone, struct drain_cost *cost)
{
	return counted(drain_isolated_pages(zone->mem), cost);
}

/* A masked round may leave a page in a cache; check_memory accepts it while iso_pending is set. */
static int may_miss(struct zone *zone, struct drain_cost *cost)
{
	begin(zone, cost);
	atomic_add(&zone->mem->iso_pending, 1u);
	return 0;
}

/*
 * The isolation is over, and the caches may be larger than the limits of the remaining memory: a
 * round cuts them.  It is not counted in @cost, since it fetches no page of the range.
 */
static int cut_caches(struct zone *zone, struct drain_cost *cost)
{
	atomic_sub(&zone->mem->iso_pending, 1u);
	pcp_cut(zone);
	return end(zone, cost);
}

static int caches_off(struct zone *zone, struct drain_cost *cost)
{
	int err = pcp_disable_counted(zone, cost);

	return err ? err : begin(zone, cost);
}

static int caches_on(struct zone *zone, struct drain_cost *cost)
{
	end(zone, cost);
	return zone_pcp_enable(zone);
}

static const struct iso_ops policies[NR_ISO_POLICIES] = {
    [ISO_REDRAIN] = {.enter = may_miss,
        .bits_set = masked_round,
        .retry = masked_round,
        .leave = cut_caches,
        .story = "drain the CPUs that seem to hold pages, until the range is free"},
    [ISO_DISABLE] = {.caches_off = true,
        .one_round = true,
        .enter = caches_off,
        .bits_set = nothing,
        .retry = nothing,
        .leave = caches_on,
        .story = "one round switches the caches of the zone off, on every CPU"},
    [ISO_PRECISE] = {.one_round = true,
        .enter = begin,
        .bits_set = precise_round,
        .retry = nothing,
        .leave = end,
        .story = "one round fetches the pages of the range from every cache"},
};

#define NAME_OF(id, name) [id] = (name),
static const char *const names[NR_ISO_POLICIES] = {ISO_POLICIES(NAME_OF, )};

const struct iso_ops *iso_ops(enum iso_policy policy)
{
	KASSERT(policy < NR_ISO_POLICIES);
	return &policies[policy];
}

const char *iso_policy_name(enum iso_policy policy)
{
	return policy < NR_ISO_POLICIES ? names[policy] : NULL;
}

const char *iso_policy_story(enum iso_policy policy)
{
	return iso_ops(policy)->story;
}

bool iso_policy_one_round(enum iso_policy policy)
{
	return iso_ops(policy)->one_round;
}

enum iso_policy iso_policy_by_name(const char *name)
{
	unsigned policy = 0;

	while (policy < NR_ISO_POLICIES && strcmp(names[policy], name) != 0)
		policy++;
	return (enum iso_policy)policy;
}

/* For check_memory: nobody drains again for these pageblocks.  One may have been undone already. */
static void mark_alone(struct memory *mem, struct pfn_range range, enum iso_policy policy)
{
	pfn_t pfn;

	for_each_block(pfn, range) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);

		if (pageblock_isolated(pageblock_of(mem, pfn)))
			tree_of(mem, pfn)->alone = (u8)(policy + 1);
		zone_unlock_irqrestore(zone, flags);
	}
}

int start_isolate_page_range(
    struct memory *mem, pfn_t start, unsigned long nr, enum iso_policy policy, struct mm_fail *fail)
{
	u32 late = policy == ISO_REDRAIN; /* pages may come into caches late: may_miss */
	struct drain_cost cost = {0};
	int err;

	/* This check comes before isolate_range extends the range to whole pageblocks. */
	if (policy >= NR_ISO_POLICIES || !range_ok(mem, pfn_range(start, nr)))
		return mm_fail(fail, start, WHY_RANGE, -EINVAL);
	/* Until the pageblocks are marked, this call is an operation. */
	atomic_add(&mem->nr_isolating, 1u);
	atomic_add(&mem->iso_pending, late);
	err = isolate_range(mem, pfn_range(start, nr), iso_ops(policy), fail, &cost);
	if (!err)
		mark_alone(mem, pfn_range(start, nr), policy);
	atomic_sub(&mem->iso_pending, late);
	atomic_sub(&mem->nr_isolating, 1u);
	return err;
}
