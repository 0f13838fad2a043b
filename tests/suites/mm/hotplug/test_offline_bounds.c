/* SPDX-License-Identifier: MIT */
/*
 * test_offline_bounds.c: the exact number of pages that an offline must leave free; the claims that
 * count; candidates for an offline; the results and cache limits of an offline; how long the
 * hotplug lock is held; and the waits of the standby thread.
 */
#include "tests/lib/standby_help.h"
#include <quarry/poison.h>
#include <quarry/string.h>

#define NORMAL 8u
#define LARGE  24u

/*
 * The pages that an offline must leave free: every zone's high watermark, and what zones reserve
 * for the kernel.
 */
static unsigned long kept_free(const struct memory *mem)
{
	unsigned long nr = 0;
	unsigned kind;

	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		nr += mem->zones[kind].wmark[WMARK_HIGH];
		if (kind != ZONE_MOVABLE)
			nr += mem->zones[kind].reserve;
	}
	return nr;
}

/* Takes @nr single pages of @zone; false if fewer are free. */
static bool take_pages(struct zone *zone, unsigned long nr, struct pile *pile)
{
	struct page *page;

	while (nr-- > 0) {
		page = take_block(zone, 0, MT_MOVABLE);
		if (!page)
			return false;
		pile_push(pile, page);
	}
	return true;
}

static void give_one(struct zone *zone, struct pile *pile)
{
	give_block(zone, pile_pop(pile));
}

static void give_all(struct zone *zone, struct pile *pile)
{
	while (pile->top)
		give_one(zone, pile);
}

/* ---- memory that must be left ---- */

static void expect_room(
    struct ktest *t, struct memory *mem, pfn_t start, unsigned long nr, bool room)
{
	struct mm_fail fail = {.why = WHY_NONE};

	EXPECT_EQ(t, offline_query(mem, start, nr, &fail), room ? 0 : -EBUSY);
	EXPECT_EQ(t, fail.why, room ? WHY_NONE : WHY_LAST);
}

KTEST_SUITE(offline_bounds, KTEST_QUICK);

KTEST(memory_left_is_checked_to_the_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 2 * NORMAL));
	const pfn_t start = BLOCK(NORMAL), nr = BLOCK(2 * NORMAL);
	struct pile out = {NULL, 0}, in = {NULL, 0};
	struct zone *normal, *movable;

	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	movable = zone_in(mem, ZONE_MOVABLE);
	REQUIRE(t, take_pages(normal, BLOCK(NORMAL) - kept_free(mem), &out));
	expect_room(t, mem, start, nr, true);
	REQUIRE(t, take_pages(normal, 1, &out));
	expect_room(t, mem, start, nr, false);
	give_one(normal, &out);
	/* A page in use inside the range needs a free page outside. */
	REQUIRE(t, take_pages(movable, 1, &in));
	expect_room(t, mem, start, nr, false);
	give_one(normal, &out);
	expect_room(t, mem, start, nr, true);
	give_all(movable, &in);
	REQUIRE(t, take_pages(normal, 1, &out));
	/* A retired page needs no target, and cannot be a target. */
	EXPECT_EQ(t, mem_soft_offline_page(mem, start + 3), 0);
	expect_room(t, mem, start, nr, true);
	EXPECT_EQ(t, mem_unpoison_page(mem, start + 3), 0);
	/* The counts of free and of retired pages may be read at different moments. */
	pageblock_of(mem, start)->nr_poisoned = 1;
	expect_room(t, mem, start, nr, true);
	pageblock_of(mem, start)->nr_poisoned = 0;
	/* The zone's count of free pages does not include isolated ones. */
	set_isolated(movable, start, true);
	expect_room(t, mem, start, nr, true);
	give_one(normal, &out);
	REQUIRE(t, take_pages(normal, 2, &out));
	expect_room(t, mem, start, nr, false);
	set_isolated(movable, start, false);
	give_all(normal, &out);
}

KTEST(some_memory_must_be_left_for_the_kernel)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 2 * NORMAL));

	expect_room(t, mem, 0, BLOCK(NORMAL), false);
	expect_room(t, mem, 0, BLOCK(NORMAL - 1), true);
	EXPECT_EQ(t, offline_pages(mem, 0, BLOCK(1), NULL, NULL), 0);
	expect_room(t, mem, BLOCK(1), BLOCK(NORMAL - 1), false);
	expect_room(t, mem, BLOCK(1), BLOCK(NORMAL - 2), true);
	EXPECT_EQ(t, online_pages(mem, 0, BLOCK(1), NULL), 0);
}

#define CLAIMS 20u

/* Each claim takes a pageblock; there are more claims than one check reads at a time. */
KTEST_INSIDE(earlier_claims_count_once_each)
{
	static struct range_claim claim[CLAIMS];
	struct memory *mem = NEED(t, ktest_memory(t, 0, LARGE, LARGE));
	const pfn_t start = BLOCK(LARGE + CLAIMS), nr = BLOCK(LARGE - CLAIMS);
	struct pile out = {NULL, 0};
	struct zone *normal;
	unsigned i;

	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	REQUIRE(t, take_pages(normal, BLOCK(LARGE) - kept_free(mem), &out));
	for (i = 0; i < CLAIMS; i++) {
		claim[i] = (struct range_claim){.range = {BLOCK(LARGE + i), BLOCK(LARGE + i + 1)}};
		EXPECT_EQ(t, range_claim(mem, &claim[i]), 0);
		EXPECT_EQ(t, claim[i].nr, i);
	}
	EXPECT(t, enough_left(mem, pfn_range(start, nr), NULL));
	EXPECT(t, enough_left(mem, pfn_range(start, nr), &claim[CLAIMS - 1]));
	REQUIRE(t, take_pages(normal, 1, &out));
	EXPECT(t, !enough_left(mem, pfn_range(start, nr), NULL));
	/* With a claim as the last argument, neither that claim nor a later claim counts. */
	EXPECT(t, enough_left(mem, pfn_range(start, nr), &claim[CLAIMS - 1]));
	EXPECT(t, enough_left(mem, pfn_range(claim[0].range.start, BLOCK(1)), &claim[0]));
	for (i = 0; i < CLAIMS; i++)
		range_unclaim(mem, &claim[i]);
	EXPECT(t, enough_left(mem, pfn_range(start, nr), NULL));
	give_all(normal, &out);
}

/* ---- candidates for an offline ---- */

#define LOW  4u  /* pageblocks of zone NORMAL */
#define HIGH 68u /* pageblocks of zone MOVABLE */

static void expect_candidate(
    struct ktest *t, struct memory *mem, unsigned long want, pfn_t start, unsigned long blocks)
{
	unsigned long nr = 0;

	EXPECT_EQ(t, offline_candidate(mem, want, &nr), start);
	EXPECT_EQ(t, nr, BLOCK(blocks));
}

KTEST(a_candidate_is_found_around_claims)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, LOW, HIGH));
	struct range_claim claim;
	/* The claimed pageblock; the start and length in pageblocks of the longest run left. */
	static const struct {
		unsigned block, start, nr;
	} cases[] = {{30, 31, 41}, {8, 9, 63}, {7, 8, 64}, {9, 10, 62}, {71, 4, 67}, {4, 5, 67},
	    {50, 4, 46}};
	unsigned i;

	all_caches_off(t, mem);
	expect_candidate(t, mem, BLOCK(HIGH), BLOCK(LOW), HIGH);
	expect_candidate(t, mem, BLOCK(HIGH + 1), BLOCK(LOW), HIGH);
	expect_candidate(t, mem, BLOCK(4) + 3, BLOCK(LOW + HIGH - 4), 4);
	expect_candidate(t, mem, BLOCK(1) - 1, PFN_NONE, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		claim = (struct range_claim){
		    .range = {BLOCK(cases[i].block), BLOCK(cases[i].block + 1)}, .stays = true};
		EXPECT_EQ(t, range_claim(mem, &claim), 0);
		expect_candidate(t, mem, BLOCK(HIGH), BLOCK(cases[i].start), cases[i].nr);
		range_unclaim(mem, &claim);
	}
}

KTEST(candidate_leaves_enough_to_the_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, LOW, HIGH));
	struct pile out = {NULL, 0};
	struct zone *normal;

	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	REQUIRE(t, take_pages(normal, BLOCK(LOW) - kept_free(mem), &out));
	expect_candidate(t, mem, BLOCK(HIGH), BLOCK(LOW), HIGH);
	REQUIRE(t, take_pages(normal, 1, &out));
	expect_candidate(t, mem, BLOCK(HIGH), BLOCK(LOW), HIGH - 1);
	give_all(normal, &out);
}

/* A run ends with its zone, even if another zone follows directly. */
KTEST(a_candidate_lies_in_one_zone, KTEST_SLOW)
{
	static const struct zone_spec specs[2][3] = {
	    {{0, ZONE_NORMAL, NORMAL}, {0, ZONE_MOVABLE, 6}, {1, ZONE_MOVABLE, 10}},
	    {{0, ZONE_NORMAL, NORMAL}, {0, ZONE_MOVABLE, 10}, {1, ZONE_MOVABLE, 6}}};
	struct memory *mem;
	unsigned i;

	for (i = 0; i < 2; i++) {
		mem = NEED(t, build_memory(t, 2, NULL, specs[i], 3));
		expect_candidate(t, mem, BLOCK(16), BLOCK(i ? NORMAL : NORMAL + 6), 10);
		drop_memory(t, mem);
	}
}

/* ---- results, cache limits and the hotplug lock ---- */

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

/*
 * A time beyond the clock's range means no deadline. Any other deadline is exactly as far ahead as
 * requested.
 */
KTEST_INSIDE(deadlines_are_exact)
{
	u64 before = arch_clock_ns(), ahead = 2 * before + 1000,
	    deadline = deadline_from_now(ahead);
	u64 after = arch_clock_ns();

	EXPECT(t, deadline >= before + ahead && deadline <= after + ahead);
	EXPECT_EQ(t, deadline_from_now(~0ULL), ~0ULL);
	EXPECT_EQ(t, deadline_from_now(~0ULL - 1), ~0ULL);
	deadline = deadline_from_now(0);
	EXPECT(t, deadline >= after && deadline <= arch_clock_ns());
}

/* ---- the standby thread ---- */

static unsigned grows; /* calls of another_grow until the lock is free */

static void another_grow(struct memory *mem)
{
	if (grows > 0 && --grows == 0)
		WRITE_ONCE(inside_result, 0);
}

/*
 * The lock of the descriptors' page tables is held at first. The standby thread tries again until
 * the waiting allocation gets its page.
 */
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
	inside_meanwhile = NULL;
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
