/* SPDX-License-Identifier: MIT */
/*
 * test_offline_exact.c: what an offline must leave free, exact to the page; the claims, and the
 * pages, that count; the candidates for an offline; and the zones that are visited.
 */
#include "tests/lib/add_help.h"
#include <quarry/poison.h>

#define NORMAL 8u
#define HIGH   12u
#define LARGE  24u

/* ---- memory that must be left ---- */

static void expect_room(
    struct ktest *t, struct memory *mem, pfn_t start, unsigned long nr, bool room)
{
	struct mm_fail fail = {.why = WHY_NONE};

	EXPECT_EQ(t, offline_query(mem, start, nr, &fail), room ? 0 : -EBUSY);
	EXPECT_EQ(t, fail.why, room ? WHY_NONE : WHY_LAST);
}

KTEST_SUITE(offline_exact, KTEST_QUICK);

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
	give_block(normal, pile_pop(&out));
	/* A page in use inside the range needs a free page outside. */
	REQUIRE(t, take_pages(movable, 1, &in));
	expect_room(t, mem, start, nr, false);
	give_block(normal, pile_pop(&out));
	expect_room(t, mem, start, nr, true);
	give_pages(movable, &in);
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
	give_block(normal, pile_pop(&out));
	REQUIRE(t, take_pages(normal, 2, &out));
	expect_room(t, mem, start, nr, false);
	set_isolated(movable, start, false);
	give_pages(normal, &out);
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
	give_pages(normal, &out);
}

/* A cached page counts as free, like a page on a free list. */
KTEST_INSIDE(survey_counts_cached_pages_as_free)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2 * CACHED_BLOCKS, HIGH));
	struct pile pile = {NULL, 0};
	struct zone *zone;
	struct page *page;
	unsigned long held;

	zone = zone_in(mem, ZONE_NORMAL);
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	REQUIRE(t, page && !mem_free_pages(mem, page, 0));
	held = zone_pcp_pages(zone);
	EXPECT(t, held > 0);
	REQUIRE(
	    t, take_pages(zone_in(mem, ZONE_NORMAL), zone->nr_free + held - kept_free(mem), &pile));
	EXPECT(t, enough_left(mem, pfn_range(BLOCK(2 * CACHED_BLOCKS), BLOCK(HIGH)), NULL));
	REQUIRE(t, take_pages(zone_in(mem, ZONE_NORMAL), 1, &pile));
	EXPECT_EQ(t, zone_pcp_pages(zone), held);
	EXPECT(t, !enough_left(mem, pfn_range(BLOCK(2 * CACHED_BLOCKS), BLOCK(HIGH)), NULL));
	give_pages(zone_in(mem, ZONE_NORMAL), &pile);
}

/* A claim of memory that is already offline takes nothing from its zone. */
KTEST_INSIDE(offline_claim_takes_nothing_from_its_zone)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, HIGH));
	struct range_claim claim = {.range = {BLOCK(NORMAL), BLOCK(NORMAL + 2)}, .stays = true};
	const pfn_t start = BLOCK(NORMAL + 2);
	struct pile pile = {NULL, 0};

	all_caches_off(t, mem);
	EXPECT_EQ(t, offline_pages(mem, claim.range.start, BLOCK(2), NULL, NULL), 0);
	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	REQUIRE(t, take_pages(zone_in(mem, ZONE_NORMAL), BLOCK(NORMAL) - kept_free(mem), &pile));
	EXPECT(t, enough_left(mem, pfn_range(start, BLOCK(HIGH - 2)), NULL));
	REQUIRE(t, take_pages(zone_in(mem, ZONE_NORMAL), 1, &pile));
	EXPECT(t, !enough_left(mem, pfn_range(start, BLOCK(HIGH - 2)), NULL));
	give_pages(zone_in(mem, ZONE_NORMAL), &pile);
	range_unclaim(mem, &claim);
	EXPECT_EQ(t, online_pages(mem, claim.range.start, BLOCK(2), NULL), 0);
}

/* Counts are read at different moments: a range may seem to have more pages than all memory. */
KTEST_INSIDE(check_of_memory_left_tolerates_counts_of_two_moments)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, HIGH));
	struct zone *normal, *movable;
	unsigned long free[2];

	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	movable = zone_in(mem, ZONE_MOVABLE);
	free[0] = normal->nr_free;
	free[1] = movable->nr_free;
	normal->nr_free = 0;
	movable->nr_free = BLOCK(HIGH) - 1;
	EXPECT(t, !enough_left(mem, pfn_range(BLOCK(NORMAL), BLOCK(HIGH)), NULL));
	normal->nr_free = free[0];
	movable->nr_free = free[1];
	EXPECT(t, enough_left(mem, pfn_range(BLOCK(NORMAL), BLOCK(HIGH)), NULL));
}

/* ---- candidates for an offline ---- */

#define LOW  4u  /* pageblocks of zone NORMAL */
#define MANY 68u /* pageblocks of zone MOVABLE */

static void expect_candidate(
    struct ktest *t, struct memory *mem, unsigned long want, pfn_t start, unsigned long blocks)
{
	unsigned long nr = 0;

	EXPECT_EQ(t, offline_candidate(mem, want, &nr), start);
	EXPECT_EQ(t, nr, BLOCK(blocks));
}

KTEST(a_candidate_is_found_around_claims)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, LOW, MANY));
	struct range_claim claim;
	/* The claimed pageblock; the start and length in pageblocks of the longest run left. */
	static const struct {
		unsigned block, start, nr;
	} cases[] = {{30, 31, 41}, {8, 9, 63}, {7, 8, 64}, {9, 10, 62}, {71, 4, 67}, {4, 5, 67},
	    {50, 4, 46}};
	unsigned i;

	all_caches_off(t, mem);
	expect_candidate(t, mem, BLOCK(MANY), BLOCK(LOW), MANY);
	expect_candidate(t, mem, BLOCK(MANY + 1), BLOCK(LOW), MANY);
	expect_candidate(t, mem, BLOCK(4) + 3, BLOCK(LOW + MANY - 4), 4);
	expect_candidate(t, mem, BLOCK(1) - 1, PFN_NONE, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		claim = (struct range_claim){
		    .range = {BLOCK(cases[i].block), BLOCK(cases[i].block + 1)}, .stays = true};
		EXPECT_EQ(t, range_claim(mem, &claim), 0);
		expect_candidate(t, mem, BLOCK(MANY), BLOCK(cases[i].start), cases[i].nr);
		range_unclaim(mem, &claim);
	}
}

KTEST(candidate_leaves_enough_to_the_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, LOW, MANY));
	struct pile out = {NULL, 0};
	struct zone *normal;

	all_caches_off(t, mem);
	normal = zone_in(mem, ZONE_NORMAL);
	REQUIRE(t, take_pages(normal, BLOCK(LOW) - kept_free(mem), &out));
	expect_candidate(t, mem, BLOCK(MANY), BLOCK(LOW), MANY);
	REQUIRE(t, take_pages(normal, 1, &out));
	expect_candidate(t, mem, BLOCK(MANY), BLOCK(LOW), MANY - 1);
	give_pages(normal, &out);
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

KTEST(upper_of_two_equal_runs_is_the_candidate)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 9));
	struct range_claim claim = {.range = {BLOCK(NORMAL + 4), BLOCK(NORMAL + 5)}};

	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	expect_candidate(t, mem, BLOCK(9), BLOCK(NORMAL + 5), 4);
	expect_candidate(t, mem, BLOCK(2), BLOCK(NORMAL + 7), 2);
	range_unclaim(mem, &claim);
}

/* Used pages of the range need free pages outside it. */
KTEST(candidate_ends_where_free_memory_ends)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, HIGH);
	struct pile pile = {NULL, 0};

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	mov_fill_range(BLOCK(NORMAL + 3), BLOCK(NORMAL + 5));
	/*
	 * Two pageblocks of pages must move, and one and a half are free outside. So the candidate
	 * leaves out its last pageblock, whose free pages then count.
	 */
	REQUIRE(t,
	    take_pages(zone_in(mem, ZONE_NORMAL),
	        BLOCK(NORMAL) - kept_free(mem) - BLOCK(1) - PAGEBLOCK_PAGES / 2, &pile));
	expect_candidate(t, mem, BLOCK(HIGH), BLOCK(NORMAL), HIGH - 1);
	REQUIRE(t, take_pages(zone_in(mem, ZONE_NORMAL), PAGEBLOCK_PAGES / 2, &pile));
	expect_candidate(t, mem, BLOCK(HIGH), BLOCK(NORMAL), HIGH - 1);
	REQUIRE(t, take_pages(zone_in(mem, ZONE_NORMAL), 1, &pile));
	expect_candidate(t, mem, BLOCK(HIGH), BLOCK(NORMAL), HIGH - 2);
	give_pages(zone_in(mem, ZONE_NORMAL), &pile);
	expect_candidate(t, mem, BLOCK(HIGH), BLOCK(NORMAL), HIGH);
	mov_end(t);
}

/* This memory does not begin at pfn 0. */
KTEST(a_candidate_is_found_in_a_memory_that_begins_higher)
{
	struct memory *mem = NEED(t, one_node(t));

	expect_candidate(t, mem, BLOCK(2 * SIZE), START + BLOCK(SIZE), SIZE);
	EXPECT_EQ(t, offline_pages(mem, START + BLOCK(SIZE), BLOCK(SIZE), NULL, NULL), 0);
	expect_candidate(t, mem, BLOCK(2 * SIZE), PFN_NONE, 0);
	EXPECT_EQ(t, online_pages(mem, START + BLOCK(SIZE), BLOCK(SIZE), NULL), 0);
	drop_memory(t, mem);
}

/* ---- ends ---- */

/* A page that blocked one pass and was moved in a later pass is not reported. */
KTEST(successful_offline_reports_no_reason)
{
	struct memory *mem = ktest_memory(t, 0, 0, HIGH);
	struct offline_result res;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	mov_fill_range(BLOCK(4), BLOCK(5));
	mov.busy = MIGRATE_PASSES * MIGRATE_BATCH;
	EXPECT_EQ(t, offline_pages(mem, BLOCK(4), BLOCK(1), NULL, &res), 0);
	EXPECT(t, res.loops > 1);
	EXPECT_EQ(t, res.fail.why, WHY_NONE);
	EXPECT_EQ(t, res.fail.pfn, PFN_NONE);
	EXPECT_EQ(t, res.moved, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, online_pages(mem, BLOCK(4), BLOCK(1), NULL), 0);
	mov_end(t);
}

/* With the maximum number of nodes a walk over all zones ends with the last zone. */
KTEST(every_zone_is_visited_and_no_other)
{
	struct zone_spec specs[MAX_NODES];
	struct memory *mem;
	unsigned n;

	for (n = 0; n < MAX_NODES; n++)
		specs[n] = (struct zone_spec){
		    .node = (u8)n, .kind = n % 2 ? ZONE_MOVABLE : ZONE_NORMAL, .blocks = 2};
	mem = NEED(t, build_memory(t, MAX_NODES, NULL, specs, MAX_NODES));
	EXPECT_EQ(t, offline_query(mem, BLOCK(2 * MAX_NODES - 2), BLOCK(2), NULL), 0);
	for (n = MAX_NODES; n-- > 0;)
		EXPECT_EQ(t, offline_node(mem, n, NULL, true, NULL), 0);
	/* The last memory for the kernel has stayed online. */
	EXPECT_EQ(t, memory_managed_pages(mem), BLOCK(2));
	EXPECT_EQ(t, zone_in(mem, ZONE_NORMAL)->managed, BLOCK(2));
	for (n = 1; n < MAX_NODES; n++)
		EXPECT_EQ(t, online_node(mem, n), BLOCK(2));
	drop_memory(t, mem);
}
