/* SPDX-License-Identifier: MIT */
/*
 * test_offline_bounds.c: the results and the cache limits of an offline; how long the hotplug lock
 * is held; and the waits of the standby thread.
 */
#include "tests/lib/standby_help.h"
#include <quarry/string.h>

#define NORMAL 8u
#define HIGH   12u

KTEST_SUITE(offline_bounds, KTEST_QUICK);

KTEST(the_memorys_policy_is_used_when_none_is_named)
{
	const struct offline_opts opts = {.policy = NR_ISO_POLICIES};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 2 * NORMAL));
	struct offline_result res;
	unsigned policy;

	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		mem->policy = (enum iso_policy)policy;
		EXPECT_EQ(
		    t, offline_pages(mem, BLOCK(2), BLOCK(2), policy ? &opts : NULL, &res), 0);
		EXPECT_EQ(t, res.policy, policy);
		EXPECT_EQ(t, res.fail.pfn, PFN_NONE);
		EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(2), NULL), 0);
		EXPECT_EQ(t, mem->iso_pending, 0);
		EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].pcp_depth, 0);
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_BLOCKS), 2 * NR_ISO_POLICIES);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_UNDONE), 0);
	/* After a conflict no isolation is pending either. */
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(3), true);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(2), NULL, &res), -EBUSY);
	EXPECT_EQ(t, res.fail.why, WHY_ISOLATED);
	EXPECT_EQ(t, res.fail.pfn, BLOCK(3));
	EXPECT_EQ(t, mem->iso_pending, 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_CONFLICT), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_UNDONE), 1);
	set_isolated(zone_in(mem, ZONE_MOVABLE), BLOCK(3), false);
}

KTEST(tries_are_counted)
{
	struct memory *mem = ktest_memory(t, 0, 0, 2 * NORMAL);
	struct offline_result res;
	unsigned tries, at;
	pfn_t start;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(1);
	REQUIRE(t, mov.nr == 1);
	for (tries = 0; tries < MIGRATE_PASSES; tries++) {
		start = ALIGN_DOWN(page_to_pfn_in(mem, mov.pages[0]), PAGEBLOCK_PAGES);
		mov.busy = tries;
		EXPECT_EQ(t, offline_pages(mem, start, BLOCK(1), NULL, &res), 0);
		EXPECT_EQ(t, res.moved, 1);
		EXPECT_EQ(t, res.retries, tries);
		EXPECT_EQ(t, res.loops, 1);
		EXPECT_EQ(t, res.rounds, 1);
		EXPECT_EQ(t, res.ipis, mem->nr_cpus - 1);
		for (at = 0; at < ARRAY_SIZE(res.at_try); at++)
			EXPECT_EQ(t, res.at_try[at],
			    at == MIN(tries, (unsigned)ARRAY_SIZE(res.at_try) - 1));
		EXPECT_EQ(t, online_pages(mem, start, BLOCK(1), NULL), 0);
	}
	/* The page is busy at each try of the first pass: the next pass finds and moves it. */
	start = ALIGN_DOWN(page_to_pfn_in(mem, mov.pages[0]), PAGEBLOCK_PAGES);
	mov.busy = MIGRATE_PASSES;
	EXPECT_EQ(t, offline_pages(mem, start, BLOCK(1), NULL, &res), 0);
	EXPECT_EQ(t, res.loops, 2);
	EXPECT_EQ(t, res.retries, MIGRATE_PASSES - 1);
	EXPECT_EQ(t, res.at_try[0], 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_MIGRATE_FAIL), 1);
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(1), NULL), 0);
	mov_end(t);
}

/* A claimed range is refused with WHY_CLAIMED; one refused for another reason is not claimed. */
KTEST(refusal_names_a_page_and_leaves_no_claim)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, HIGH));
	struct range_claim claim = {.range = {BLOCK(NORMAL + 3), BLOCK(NORMAL + 4)}};
	struct offline_result res;
	struct mm_fail fail;
	u64 nr;

	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	memset(&res, 0xff, sizeof(res));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(NORMAL + 2), BLOCK(2), NULL, &res), -EBUSY);
	EXPECT_EQ(t, res.policy, mem->policy);
	EXPECT_EQ(t, res.loops + res.rounds + res.ipis + res.moved + res.retries, 0);
	EXPECT_EQ(t, res.fail.why, WHY_CLAIMED);
	EXPECT_EQ(t, res.fail.pfn, BLOCK(NORMAL + 2));
	EXPECT_EQ(t, online_pages(mem, BLOCK(NORMAL + 2), BLOCK(2), &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_CLAIMED);
	EXPECT_EQ(t, fail.pfn, BLOCK(NORMAL + 2));
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_FAIL), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ONLINE_FAIL), 1);
	range_unclaim(mem, &claim);
	nr = mem->nr_claims;
	EXPECT_EQ(t, remove_memory(mem, BLOCK(NORMAL), BLOCK(1)), -EBUSY);
	EXPECT_EQ(t, add_memory(mem, BLOCK(NORMAL), BLOCK(1), 0), -EEXIST);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(NORMAL - 1), BLOCK(2), NULL, NULL), -EINVAL);
	EXPECT_EQ(t, mem->nr_claims, nr);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(NORMAL), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(NORMAL), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, mem->nr_claims, nr + 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_OK), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ONLINE_OK), 1);
	EXPECT(t, LIST_EMPTY(&mem->claims));
}

/* ---- cache limits ---- */

struct plan {
	struct zone *zone;
	u16 capacity[NR_CACHED_ORDERS][NR_CACHED_TYPES];
};

static void note_plan(void *arg)
{
	struct plan *p = arg;

	memcpy(p->capacity, p->zone->pcp_capacity, sizeof(p->capacity));
}

static bool same_plan(const struct plan *a, const struct plan *b)
{
	return memcmp(a->capacity, b->capacity, sizeof(a->capacity)) == 0;
}

KTEST_INSIDE(cache_limits_follow_the_remaining_memory)
{
	static const unsigned blocks = PAGEBLOCK_ORDER >= 9 ? 16 : 64;
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, blocks));
	struct zone *zone = mem ? zone_in(mem, ZONE_MOVABLE) : NULL;
	struct plan before = {.zone = zone}, during = before, after = before;
	const struct offline_opts opts = {
	    .policy = ISO_PRECISE, .on_isolated = note_plan, .arg = &during};
	const u32 cancel = 1;
	const struct offline_opts cancelled = {.policy = ISO_PRECISE, .cancel = &cancel};

	note_plan(&before);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(blocks - 4), &opts, NULL), 0);
	note_plan(&after);
	EXPECT(t, !same_plan(&before, &during));
	EXPECT(t, same_plan(&during, &after));
	EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(blocks - 4), NULL), 0);
	note_plan(&after);
	EXPECT(t, same_plan(&before, &after));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(2), BLOCK(blocks - 4), &cancelled, NULL), -EINTR);
	note_plan(&after);
	EXPECT(t, same_plan(&before, &after));
}

KTEST_INSIDE(cache_limits_follow_memory_from_standby)
{
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	struct zone *zone = mem ? zone_in(mem, ZONE_MOVABLE) : NULL;
	struct plan before = {.zone = zone}, anew = before;

	EXPECT_EQ(t, standby_online(zone), (long)BLOCK(STEP));
	note_plan(&before);
	hotplug_lock(mem);
	zone_reset_limits(zone);
	hotplug_unlock(mem);
	note_plan(&anew);
	EXPECT(t, same_plan(&before, &anew));
	EXPECT_EQ(t, mm_event_sum(mem, EV_STANDBY_ONLINE), STEP);
	drop_memory(t, mem);
}

static unsigned long planned(struct zone *zone)
{
	unsigned long sum = 0;
	unsigned index, type;

	hotplug_lock(zone->mem);
	zone_reset_limits(zone);
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++)
			sum += (unsigned long)zone->pcp_capacity[index][type] << index_order(index);
	}
	hotplug_unlock(zone->mem);
	return sum;
}

/* Claims in another zone, or of memory that comes online, do not count. */
KTEST_INSIDE(cache_limits_count_leaving_claims_of_the_zone)
{
	static const unsigned blocks = PAGEBLOCK_ORDER >= 9 ? 16 : 64;
	struct memory *mem = NEED(t, ktest_memory(t, 0, blocks, blocks));
	struct range_claim claim = {.range = {BLOCK(2), BLOCK(blocks - 2)}};
	unsigned long normal, movable, less;

	normal = planned(zone_in(mem, ZONE_NORMAL));
	movable = planned(zone_in(mem, ZONE_MOVABLE));
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	less = planned(zone_in(mem, ZONE_NORMAL));
	EXPECT(t, less < normal);
	EXPECT_EQ(t, planned(zone_in(mem, ZONE_MOVABLE)), movable);
	claim.stays = true;
	EXPECT_EQ(t, planned(zone_in(mem, ZONE_NORMAL)), normal);
	range_unclaim(mem, &claim);
	claim.stays = false;
	EXPECT_EQ(t, planned(zone_in(mem, ZONE_NORMAL)), normal);
}

/* ---- the hotplug lock ---- */

/* Holds the hotplug lock for @ns or longer. Returns an upper bound of that time; 0: @try failed. */
static u64 hold_for(struct memory *mem, u64 ns, bool try)
{
	u64 began = arch_clock_ns(), since;

	if (!try)
		hotplug_lock(mem);
	else if (!hotplug_trylock(mem))
		return 0;
	since = arch_clock_ns();
	while (arch_clock_ns() - since < ns)
		cpu_relax();
	hotplug_unlock(mem);
	return arch_clock_ns() - began;
}

KTEST_COST(longest_hold_of_the_hotplug_lock_is_recorded)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 2));
	u64 held;
	unsigned try;

	for (try = 0; try < 2; try++) {
		mem->hotplug_longest = 0;
		mem->hotplug_since = 0;
		held = hold_for(mem, 100000, try);
		EXPECT(t, mem->hotplug_longest >= 100000 && mem->hotplug_longest <= held);
	}
	/* A shorter hold does not replace the longest. */
	mem->hotplug_longest = ~0ULL;
	hold_for(mem, 0, false);
	EXPECT_EQ(t, mem->hotplug_longest, ~0ULL);
	hotplug_lock(mem);
	EXPECT(t, !hotplug_trylock(mem));
	hotplug_unlock(mem);
}

/* No hold of the lock grows with the range: each takes 64 pageblocks at most. */
KTEST_COST(commit_takes_64_pageblocks_in_a_hold)
{
	static const unsigned sizes[] = {1, 64, 65};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 72));
	unsigned i, commits;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		commits = (unsigned)mem->nr_commits;
		EXPECT_EQ(t, offline_pages(mem, BLOCK(3), BLOCK(sizes[i]), NULL, NULL), 0);
		EXPECT_EQ(t, mem->nr_commits - commits, (sizes[i] + 63) / 64);
		EXPECT(t, LIST_EMPTY(&mem->claims));
		EXPECT_EQ(t, online_pages(mem, BLOCK(3), BLOCK(sizes[i]), NULL), 0);
		EXPECT(t, LIST_EMPTY(&mem->claims));
	}
}

/* ---- the standby thread ---- */

static unsigned grows; /* calls of another_grow until the lock is free */

static void another_grow(struct memory *mem)
{
	if (grows > 0 && --grows == 0)
		WRITE_ONCE(inside_result, 0);
}

/* The lock of the tables is held at first; the thread tries again until the request is served. */
KTEST(offline_waits_for_the_lock_of_the_tables, KTEST_SLOW)
{
	struct memory *mem = NEED(t, without_descriptors(t));
	struct pile pile = {NULL, 0};

	EXPECT(t, mem->standby.thread);
	grows = 5;
	WRITE_ONCE(inside_result, -EAGAIN);
	store_release(&inside_meanwhile, another_grow);
	EXPECT_EQ(t, pile_alloc(mem, &pile, GFP_MOVABLE, 0, BLOCK(ONLINE + 1)), BLOCK(ONLINE + 1));
	EXPECT_EQ(t, grows, 0);
	EXPECT(t, range_count(mem, pfn_range(0, BLOCK(TOTAL)), PB_ONLINE) > ONLINE);
	WRITE_ONCE(inside_meanwhile, NULL);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drop_memory(t, mem);
	EXPECT(t, !mem->standby.thread);
}

KTEST_INSIDE(memory_without_standby_has_no_standby_thread)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));

	EXPECT(t, !mem->standby.thread);
	EXPECT_EQ(t, standby_ask(mem, 0), 0);
	EXPECT_EQ(t, standby_online(zone_in(mem, ZONE_NORMAL)), 0);
}
