/* SPDX-License-Identifier: MIT */
/*
 * test_offline_exact.c: the borders of a survey; the pages that count as free or as leaving; the
 * choice among several candidates; the claims that a zone's cache limits count; and the state after
 * a refusal or a success.
 */
#include "tests/lib/add_help.h"
#include <quarry/poison.h>

#define NORMAL 8u
#define HIGH   12u

static struct offline_survey survey;

static void expect_claimed(struct ktest *t, struct memory *mem, unsigned from, unsigned to,
    unsigned long blocks, pfn_t first)
{
	EXPECT_EQ(t, offline_survey(mem, BLOCK(from), BLOCK(to - from), &survey), 0);
	EXPECT_EQ(t, survey.pages[WHY_CLAIMED], BLOCK(blocks));
	EXPECT_EQ(t, survey.first[WHY_CLAIMED], first);
	EXPECT_EQ(t, survey.err, blocks ? -EBUSY : 0);
}

KTEST_SUITE(offline_exact, KTEST_QUICK);

/* Only the part of a claim that lies in the range counts. */
KTEST(survey_counts_its_part_of_a_claim)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, HIGH));
	struct range_claim claim = {.range = {BLOCK(4), BLOCK(7)}},
	                   more = {.range = {BLOCK(9), BLOCK(10)}};
	unsigned why;

	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	EXPECT_EQ(t, range_claim(mem, &more), 0);
	expect_claimed(t, mem, 2, 4, 0, PFN_NONE);
	for (why = 0; why < NR_MM_WHY; why++)
		EXPECT_EQ(t, survey.first[why], PFN_NONE);
	expect_claimed(t, mem, 7, 9, 0, PFN_NONE);
	expect_claimed(t, mem, 2, 6, 2, BLOCK(4));
	expect_claimed(t, mem, 6, 8, 1, BLOCK(6));
	expect_claimed(t, mem, 5, 6, 1, BLOCK(5));
	/* The first page is that of the older claim. */
	expect_claimed(t, mem, 0, HIGH, 4, BLOCK(4));
	range_unclaim(mem, &claim);
	range_unclaim(mem, &more);
}

/*
 * Allocated pages count by the type of their pageblock. Retired pages, offline pages and holes are
 * counted separately.
 */
KTEST(survey_tells_movable_blockers_from_unmovable)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 2));
	struct page *page[4];
	struct zone *zone;
	unsigned i;

	zone = zone_in(mem, ZONE_NORMAL);
	/* The first and the last type serve movable requests: their pages count as busy. */
	for (i = 0; i < 4; i++) {
		static const enum migratetype types[] = {
		    MT_MOVABLE, MT_UNMOVABLE, MT_RECLAIMABLE, MT_CMA};

		page[i] = take_block(zone, MAX_ORDER, MT_MOVABLE);
		REQUIRE(t, page[i]);
		set_type(zone, page_to_pfn_in(mem, page[i]), types[i]);
		EXPECT_EQ(
		    t, offline_survey(mem, page_to_pfn_in(mem, page[i]), BLOCK(1), &survey), 0);
		EXPECT_EQ(t, survey.pages[WHY_BUSY], i == 0 || i == 3 ? BLOCK(1) : 0);
		EXPECT_EQ(t, survey.pages[WHY_UNMOVABLE], i == 0 || i == 3 ? 0 : BLOCK(1));
		EXPECT_EQ(t, survey.free + survey.movable + survey.retired, 0);
	}
	for (i = 0; i < 4; i++) {
		set_type(zone, page_to_pfn_in(mem, page[i]), MT_MOVABLE);
		give_block(zone, page[i]);
	}
	EXPECT_EQ(t, mem_soft_offline_page(mem, BLOCK(NORMAL) + 3), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(NORMAL), BLOCK(2), &survey), 0);
	EXPECT_EQ(t, survey.retired, 1);
	EXPECT_EQ(t, survey.free, BLOCK(2) - 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(NORMAL) + 3), 0);
	EXPECT_EQ(t, offline_pages(mem, BLOCK(NORMAL), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(NORMAL), BLOCK(2), &survey), 0);
	EXPECT_EQ(t, survey.pages[WHY_ALREADY], BLOCK(1));
	EXPECT_EQ(t, survey.free, BLOCK(1));
	EXPECT_EQ(t, remove_memory(mem, BLOCK(NORMAL), BLOCK(1)), 0);
	EXPECT_EQ(t, offline_survey(mem, BLOCK(NORMAL), BLOCK(2), &survey), 0);
	EXPECT_EQ(t, survey.pages[WHY_HOLE], BLOCK(1));
	EXPECT_EQ(t, survey.first[WHY_HOLE], BLOCK(NORMAL));
	EXPECT_EQ(t, survey.pages[WHY_ZONES], 0);
	EXPECT_EQ(t, survey.pages[WHY_ALREADY], 0);
	EXPECT_EQ(t, survey.free, BLOCK(1));
	EXPECT_EQ(t, survey.err, -EINVAL);
}

/* ---- memory that must be left ---- */

/* The pages that must stay free: the high watermarks, and the kernel's reserve. */
static unsigned long kept(const struct memory *mem)
{
	return mem->zones[ZONE_NORMAL].wmark[WMARK_HIGH] + mem->zones[ZONE_NORMAL].reserve +
	    mem->zones[ZONE_MOVABLE].wmark[WMARK_HIGH];
}

static bool take(struct memory *mem, unsigned long nr, struct pile *pile)
{
	while (nr-- > 0) {
		struct zone *zone = zone_in(mem, ZONE_NORMAL);
		struct page *page = take_block(zone, 0, MT_MOVABLE);

		page = page ? page : take_fallback(zone, 0, MT_MOVABLE);
		if (!page)
			return false;
		pile_push(pile, page);
	}
	return true;
}

static void give(struct memory *mem, struct pile *pile)
{
	while (pile->top)
		give_block(zone_in(mem, ZONE_NORMAL), pile_pop(pile));
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
	REQUIRE(t, take(mem, zone->nr_free + held - kept(mem), &pile));
	EXPECT(t, enough_left(mem, pfn_range(BLOCK(2 * CACHED_BLOCKS), BLOCK(HIGH)), NULL));
	REQUIRE(t, take(mem, 1, &pile));
	EXPECT_EQ(t, zone_pcp_pages(zone), held);
	EXPECT(t, !enough_left(mem, pfn_range(BLOCK(2 * CACHED_BLOCKS), BLOCK(HIGH)), NULL));
	give(mem, &pile);
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
	REQUIRE(t, take(mem, BLOCK(NORMAL) - kept(mem), &pile));
	EXPECT(t, enough_left(mem, pfn_range(start, BLOCK(HIGH - 2)), NULL));
	REQUIRE(t, take(mem, 1, &pile));
	EXPECT(t, !enough_left(mem, pfn_range(start, BLOCK(HIGH - 2)), NULL));
	give(mem, &pile);
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

/* ---- candidates ---- */

static void expect_candidate(
    struct ktest *t, struct memory *mem, unsigned long blocks, pfn_t start, unsigned long nr)
{
	unsigned long got = 0;

	EXPECT_EQ(t, offline_candidate(mem, BLOCK(blocks), &got), start);
	EXPECT_EQ(t, got, BLOCK(nr));
}

KTEST(upper_of_two_equal_runs_is_the_candidate)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, NORMAL, 9));
	struct range_claim claim = {.range = {BLOCK(NORMAL + 4), BLOCK(NORMAL + 5)}};

	EXPECT_EQ(t, range_claim(mem, &claim), 0);
	expect_candidate(t, mem, 9, BLOCK(NORMAL + 5), 4);
	expect_candidate(t, mem, 2, BLOCK(NORMAL + 7), 2);
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
	REQUIRE(t, take(mem, BLOCK(NORMAL) - kept(mem) - BLOCK(1) - PAGEBLOCK_PAGES / 2, &pile));
	expect_candidate(t, mem, HIGH, BLOCK(NORMAL), HIGH - 1);
	REQUIRE(t, take(mem, PAGEBLOCK_PAGES / 2, &pile));
	expect_candidate(t, mem, HIGH, BLOCK(NORMAL), HIGH - 1);
	REQUIRE(t, take(mem, 1, &pile));
	expect_candidate(t, mem, HIGH, BLOCK(NORMAL), HIGH - 2);
	give(mem, &pile);
	expect_candidate(t, mem, HIGH, BLOCK(NORMAL), HIGH);
	mov_end(t);
}

/* This memory does not begin at pfn 0. */
KTEST(a_candidate_is_found_in_a_memory_that_begins_higher)
{
	struct memory *mem = NEED(t, one_node(t));

	expect_candidate(t, mem, 2 * SIZE, START + BLOCK(SIZE), SIZE);
	EXPECT_EQ(t, offline_pages(mem, START + BLOCK(SIZE), BLOCK(SIZE), NULL, NULL), 0);
	expect_candidate(t, mem, 2 * SIZE, PFN_NONE, 0);
	EXPECT_EQ(t, online_pages(mem, START + BLOCK(SIZE), BLOCK(SIZE), NULL), 0);
	drop_memory(t, mem);
}

/* ---- cache limits and claims ---- */

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

/*
 * A range that overlaps a claim is refused with WHY_CLAIMED. A range that is refused for another
 * reason is not claimed.
 */
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
