/* SPDX-License-Identifier: MIT */
/*
 * test_isolation_scan.c: the scan of an isolation: it refuses and names pages that cannot move,
 * wherever they lie in the range, and no others; and the round that comes before it.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mov_help.h"
#include <quarry/handle.h>
#include <quarry/poison.h>

static struct census before, after;
static struct page *pages[2], *book[PAGEBLOCK_PAGES];

/* Expect isolating all of zone NORMAL to fail at @page for reason @why, and change nothing. */
static void expect_blocker(
    struct ktest *t, struct memory *mem, const struct page *page, enum mm_why why)
{
	unsigned p;

	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		struct mm_fail fail = {0};

		census_take(&before, mem);
		EXPECT_EQ(t, isolate(mem, 0, BLOCK(4), policies[p], &fail), -EBUSY);
		EXPECT_EQ(t, fail.why, why);
		EXPECT_EQ(t, fail.pfn, page_to_pfn_in(mem, page));
		census_take(&after, mem);
		census_compare(t, &before, &after);
	}
}

KTEST_SUITE(isolation_scan, KTEST_QUICK);

KTEST(unmovable_page_is_named)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct handle handles[1];
	struct handle_table table;
	struct page *page;

	REQUIRE(t, alloc_on(0, mem, GFP_KERNEL, 0, 1, &page) == 1);
	empty_all(mem);
	expect_blocker(t, mem, page, WHY_UNMOVABLE);
	page_cas_state(page, PG_ALLOC, PG_SLAB);
	expect_blocker(t, mem, page, WHY_UNMOVABLE);
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	page_cas_state(page, PG_ALLOC, PG_PGTABLE);
	expect_blocker(t, mem, page, WHY_UNMOVABLE);
	page_cas_state(page, PG_PGTABLE, PG_ALLOC);
	/* Give the page the state of a page that was reserved from the start. */
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_RESERVED, 0));
	expect_blocker(t, mem, page, WHY_RESERVED);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	handle_table_init(&table, mem, handles, 1);
	REQUIRE(t, handle_alloc(&table, 0, 0, GFP_KERNEL, 1) == 0);
	empty_all(mem);
	EXPECT_EQ(t, handle_pin(&table, 0), 0);
	expect_blocker(t, mem, pfn_to_page_in(mem, handle_pfn(&table, 0)), WHY_PINNED);
	EXPECT_EQ(t, handle_unpin(&table, 0), 0);
	EXPECT_EQ(t, handle_free(&table, 0), 0);
}

/* Of two pageblocks with unmovable pages the first is named. */
KTEST(first_unmovable_page_is_named)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));

	REQUIRE(t, alloc_on(0, mem, GFP_KERNEL, MAX_ORDER, 2, pages) == 2);
	empty_all(mem);
	expect_blocker(t, mem, MIN(pages[0], pages[1]), WHY_UNMOVABLE);
	EXPECT_EQ(t, free_on(0, mem, MAX_ORDER, 2, pages), 2);
}

/* All other pages are in use, and could move: the scan leaves out no pageblock. */
KTEST(unmovable_page_is_found_in_each_pageblock)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	unsigned i;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill_range(0, BLOCK(4));
	for (i = 0; i < 4; i++) {
		struct page *page = pfn_to_page_in(mem, BLOCK(i) + 1);
		u32 word = page_word(page);

		WRITE_ONCE(page->word, PAGE_WORD(1, PG_SLAB, 0));
		expect_blocker(t, mem, page, WHY_UNMOVABLE);
		WRITE_ONCE(page->word, word);
	}
	mov_end(t);
}

/* Place the page at an end of a pageblock or in between: the scan may work in pieces. */
KTEST(unmovable_page_is_found_wherever_it_lies, KTEST_SLOW)
{
	static const unsigned eighths[] = {0, 1, 4, 7, 8};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct mm_fail fail = {0};
	unsigned i, p, end;

	for (i = 0; i < 2 * ARRAY_SIZE(eighths) - 2; i++) {
		pfn_t at = eighths[(i + 1) / 2] * (PAGEBLOCK_PAGES / 8) - (i & 1);

		REQUIRE(
		    t, alloc_on(0, mem, GFP_KERNEL, 0, PAGEBLOCK_PAGES, book) == PAGEBLOCK_PAGES);
		for (end = 0; (page_to_pfn_in(mem, book[end]) & (PAGEBLOCK_PAGES - 1)) != at;)
			REQUIRE(t, ++end < PAGEBLOCK_PAGES);
		EXPECT_EQ(t, free_on(0, mem, 0, end, book), end);
		EXPECT_EQ(t, free_on(0, mem, 0, PAGEBLOCK_PAGES - end - 1, book + end + 1),
		    PAGEBLOCK_PAGES - end - 1);
		empty_all(mem);
		for (p = 0; p < ARRAY_SIZE(policies); p++) {
			EXPECT_EQ(t, isolate(mem, 0, BLOCK(4), policies[p], &fail), -EBUSY);
			EXPECT_EQ(t, fail.pfn, page_to_pfn_in(mem, book[end]));
		}
		EXPECT_EQ(t, free_on(0, mem, 0, 1, book + end), 1);
	}
}

/* Isolate a part of pageblocks; under policy `disable' with the caches off. */
static int isolate_part(
    struct memory *mem, pfn_t start, pfn_t end, enum iso_policy policy, struct mm_fail *fail)
{
	const struct pfn_range range = {start, end};
	struct drain_cost cost = {0};
	int err;

	if (policy == ISO_DISABLE && zone_pcp_disable(zone_of(mem, start)))
		return -EAGAIN;
	err = isolate_range(mem, range, iso_ops(policy), fail, &cost);
	if (policy == ISO_DISABLE)
		zone_pcp_enable(zone_of(mem, start));
	return err;
}

/* Pages of the same pageblock that are not in the range do not matter. */
KTEST(only_pages_in_the_range_block_it)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct mm_fail fail;
	pfn_t pfn, end;
	unsigned p;

	REQUIRE(t, alloc_on(0, mem, GFP_KERNEL, 0, 2, pages) == 2);
	empty_all(mem);
	/* Begin the range at a page that is not the first of its pageblock. */
	pfn = MAX(page_to_pfn_in(mem, pages[0]), page_to_pfn_in(mem, pages[1]));
	end = ALIGN_UP(pfn + 1, PAGEBLOCK_PAGES);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		fail = (struct mm_fail){0};
		EXPECT_EQ(t, isolate_part(mem, pfn, end, policies[p], &fail), -EBUSY);
		EXPECT_EQ(t, fail.why, WHY_UNMOVABLE);
		EXPECT_EQ(t, fail.pfn, pfn);
		EXPECT(t, !pageblock_isolated(pageblock_of(mem, pfn)));
		if (pfn + 1 < end) {
			EXPECT_EQ(t, isolate_part(mem, pfn + 1, end, policies[p], &fail), 0);
			undo_isolate_page_range(mem, end - PAGEBLOCK_PAGES, PAGEBLOCK_PAGES);
		}
	}
	EXPECT_EQ(t, free_on(0, mem, 0, 2, pages), 2);
}

/* The block begins before the range. */
KTEST(block_that_reaches_into_the_range_blocks_it)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct mm_fail fail = {0};
	pfn_t pfn;
	unsigned p;

	REQUIRE(t, alloc_on(0, mem, GFP_KERNEL, 2, 1, pages) == 1);
	empty_all(mem);
	pfn = page_to_pfn_in(mem, pages[0]) + 1;
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		pfn_t end = ALIGN_UP(pfn, PAGEBLOCK_PAGES);

		EXPECT_EQ(t, isolate_part(mem, pfn, end, policies[p], &fail), -EBUSY);
		EXPECT_EQ(t, fail.why, WHY_UNMOVABLE);
	}
	EXPECT_EQ(t, free_on(0, mem, 2, 1, pages), 1);
}

KTEST(movable_pages_do_not_block_isolation)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct mm_fail fail = {0};
	struct handle handles[1];
	struct handle_table table;
	struct page *page;
	unsigned p;

	handle_table_init(&table, mem, handles, 1);
	REQUIRE(t, handle_alloc(&table, 0, 0, GFP_KERNEL, 1) == 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 1);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		EXPECT_EQ(t, isolate(mem, 0, BLOCK(4), policies[p], &fail), 0);
		EXPECT_EQ(t, test_pages_isolated(mem, 0, BLOCK(4), &fail), -EBUSY);
		EXPECT_EQ(t, fail.pfn, MIN(handle_pfn(&table, 0), page_to_pfn_in(mem, page)));
		unisolate(mem, 0, BLOCK(4), policies[p]);
	}
	EXPECT_EQ(t, handle_free(&table, 0), 0);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
}

/* ---- the round between the bits and the scan: that of a policy of this test ---- */

static struct {
	struct page *page; /* during the round it gets an owner that cannot move it; or NULL */
	int err;           /* the round's error */
	unsigned calls;
	u32 pending;            /* iso_pending during the round */
	unsigned long isolated; /* pageblocks that were isolated */
	bool sleeps;            /* the round may sleep */
} seen;

static int own_round(struct zone *zone, struct drain_cost *cost)
{
	seen.calls++;
	seen.pending = READ_ONCE(zone->mem->iso_pending);
	seen.isolated = READ_ONCE(zone->nr_isolated);
	seen.sleeps = may_sleep();
	if (seen.page)
		page_cas_state(seen.page, PG_ALLOC, PG_SLAB);
	seen.page = NULL;
	return seen.err;
}

static int isolate_by_own_policy(struct memory *mem, bool caches_off, struct mm_fail *fail)
{
	const struct iso_ops own_policy = {
	    .bits_set = own_round, .caches_off = caches_off, .story = "of a test"};
	struct drain_cost cost = {0};

	return isolate_range(mem, (struct pfn_range){0, BLOCK(4)}, &own_policy, fail, &cost);
}

KTEST(round_is_made_when_all_bits_are_set)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct mm_fail fail = {0};

	memset(&seen, 0, sizeof(seen));
	EXPECT_EQ(t, isolate_by_own_policy(mem, false, &fail), 0);
	EXPECT(t, seen.calls > 0);
	EXPECT_EQ(t, seen.isolated, 4);
	EXPECT_EQ(t, seen.pending, 1);
	EXPECT(t, seen.sleeps);
	EXPECT_EQ(t, mem->iso_pending, 0);
	undo_isolate_page_range(mem, 0, BLOCK(4));
	/* While the caches are off there is nothing to fetch from them. */
	seen.calls = 0;
	EXPECT_EQ(t, zone_pcp_disable(test_zone(mem, ZONE_NORMAL)), 0);
	EXPECT_EQ(t, isolate_by_own_policy(mem, true, &fail), 0);
	EXPECT_EQ(t, seen.calls, 0);
	undo_isolate_page_range(mem, 0, BLOCK(4));
	/* But who turns them off may be about to make that round: another policy makes its own. */
	EXPECT_EQ(t, isolate_by_own_policy(mem, false, &fail), 0);
	EXPECT_EQ(t, zone_pcp_enable(test_zone(mem, ZONE_NORMAL)), 0);
	EXPECT(t, seen.calls > 0);
	undo_isolate_page_range(mem, 0, BLOCK(4));
}

KTEST(failed_round_is_undone)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct mm_fail fail = {0};

	memset(&seen, 0, sizeof(seen));
	seen.err = -ENOMEM;
	census_take(&before, mem);
	EXPECT_EQ(t, isolate_by_own_policy(mem, false, &fail), -ENOMEM);
	EXPECT_EQ(t, mem->iso_pending, 0);
	/* Not all bits can be set: there is no round. */
	EXPECT_EQ(t, start_isolate_page_range(mem, BLOCK(3), BLOCK(1), ISO_PRECISE, NULL), 0);
	seen.calls = 0;
	EXPECT_EQ(t, isolate_by_own_policy(mem, false, &fail), -EBUSY);
	EXPECT_EQ(t, seen.calls, 0);
	undo_isolate_page_range(mem, BLOCK(3), BLOCK(1));
	census_take(&after, mem);
	census_compare(t, &before, &after);
}

/* Until the round, a page of the range may get an owner that cannot move it. */
KTEST(scan_comes_after_the_round)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct mm_fail fail = {0};
	struct page *page;

	REQUIRE(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page) == 1);
	empty_all(mem);
	memset(&seen, 0, sizeof(seen));
	seen.page = page;
	EXPECT_EQ(t, isolate_by_own_policy(mem, false, &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_UNMOVABLE);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(mem, page));
	EXPECT_EQ(t, test_zone(mem, ZONE_NORMAL)->nr_isolated, 0);
	if (seen.calls)
		page_cas_state(page, PG_SLAB, PG_ALLOC);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
}

/* A block in transit to its owner is no blocker, wherever in it a page is broken. */
KTEST(place_of_a_broken_page_in_a_block_in_transit_does_not_matter)
{
	static const unsigned at[] = {1, PAGEBLOCK_PAGES / 2, PAGEBLOCK_PAGES - 1};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));
	struct mm_fail fail = {0};
	struct page *page;
	unsigned i, p;
	pfn_t pfn;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, MAX_ORDER));
		pfn = page_to_pfn_in(mem, page);
		EXPECT_EQ(t, mem_memory_failure(mem, pfn + at[i], 0, NULL), -EBUSY);
		for (p = 0; p < ARRAY_SIZE(policies); p++) {
			EXPECT_EQ(t, isolate(mem, pfn, BLOCK(1), policies[p], &fail), 0);
			unisolate(mem, pfn, BLOCK(1), policies[p]);
		}
		EXPECT_EQ(t, mem_free_pages(mem, page, MAX_ORDER), 0);
		EXPECT_EQ(t, mem_unpoison_page(mem, pfn + at[i]), 0);
	}
}
