/* SPDX-License-Identifier: MIT */
/*
 * test_isolation_exact.c: the reason that a page in each state gives when its pageblock is
 * isolated or emptied, the borders of a range, and the order of drain round and scan.
 */
#include "tests/lib/mov_help.h"
#include <quarry/isolation.h>

#define BLOCKS 8u
#define AT     (BLOCK(2) + 4) /* the page under test */

/*
 * The reasons for a page of zone NORMAL in an unmovable pageblock: the scan gives @before, the
 * check that all pages are free gives @after.
 */
static const struct {
	enum page_state state;
	bool pinned, poisoned;
	enum mm_why before, after;
} states[] = {
    {PG_RESERVED, false, false, WHY_RESERVED, WHY_RESERVED},
    {PG_PCP, false, false, WHY_NONE, WHY_BUSY},
    {PG_FREEING, false, false, WHY_NONE, WHY_BUSY},
    {PG_ALLOC, false, false, WHY_UNMOVABLE, WHY_UNMOVABLE},
    {PG_SLAB, false, false, WHY_UNMOVABLE, WHY_UNMOVABLE},
    {PG_PGTABLE, false, false, WHY_UNMOVABLE, WHY_UNMOVABLE},
    {PG_OBJECT, false, false, WHY_UNMOVABLE, WHY_UNMOVABLE},
    {PG_HWPOISON, false, false, WHY_NONE, WHY_NONE},
    {PG_MOVABLE_OPS, false, false, WHY_NONE, WHY_BUSY},
    {PG_MOVABLE_OPS, true, false, WHY_PINNED, WHY_PINNED},
    {PG_MOVABLE_OPS, false, true, WHY_HWPOISON, WHY_HWPOISON},
    {PG_MOVABLE_OPS, true, true, WHY_HWPOISON, WHY_HWPOISON},
    {PG_LRU, false, false, WHY_NONE, WHY_BUSY},
    {PG_LRU, true, false, WHY_PINNED, WHY_PINNED},
    {PG_LRU, false, true, WHY_HWPOISON, WHY_HWPOISON},
    {PG_BALLOON, false, false, WHY_NONE, WHY_BUSY},
    {PG_BALLOON, true, false, WHY_PINNED, WHY_PINNED},
    {PG_BALLOON, false, true, WHY_HWPOISON, WHY_HWPOISON},
    {PG_ISO_MIG, false, false, WHY_NONE, WHY_BUSY},
    {PG_ISO_MIG, true, false, WHY_PINNED, WHY_PINNED},
    {PG_ISO_MIG, false, true, WHY_HWPOISON, WHY_HWPOISON},
};

static void expect_reason(struct ktest *t, unsigned row, const char *when, int err,
    const struct mm_fail *fail, enum mm_why why)
{
	if (err != (why ? -EBUSY : 0) || fail->why != why || fail->pfn != (why ? AT : PFN_NONE))
		ktest_fail(
		    t, __FILE__, __LINE__, "row %u %s: %d, reason %d", row, when, err, fail->why);
}

KTEST_SUITE(isolation_exact, KTEST_QUICK);

KTEST(each_state_has_its_reason)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct zone *zone;
	struct page *page;
	unsigned i;

	zone = zone_in(mem, ZONE_NORMAL);
	page = hold_pfn(mem, AT);
	set_type(zone, BLOCK(2), MT_UNMOVABLE);
	set_isolated(zone, BLOCK(2), true);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		struct mm_fail fail = {.pfn = PFN_NONE};
		int err;

		WRITE_ONCE(page->word,
		    PAGE_WORD(1, states[i].state, 0) | (states[i].pinned ? PAGE_PINNED : 0) |
		        (states[i].poisoned ? PAGE_POISON : 0));
		page->pincount = states[i].pinned;
		err = scan_unmovable(zone, pfn_range(BLOCK(2), BLOCK(1)), &fail);
		expect_reason(t, i, "before", err, &fail, states[i].before);
		fail = (struct mm_fail){.pfn = PFN_NONE};
		err = test_pages_isolated(mem, BLOCK(2), BLOCK(1), &fail);
		expect_reason(t, i, "after", err, &fail, states[i].after);
	}
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	page->pincount = 0;
	set_isolated(zone, BLOCK(2), false);
	set_type(zone, BLOCK(2), MT_MOVABLE);
	give_block(zone, page);
}

/* Of several isolated pageblocks, the first page that is not free is named. */
KTEST(first_page_that_is_not_free_is_named)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, BLOCKS));
	struct page *page[3];
	struct mm_fail fail;
	struct zone *zone;
	unsigned i;

	zone = zone_in(mem, ZONE_MOVABLE);
	page[0] = hold_pfn(mem, BLOCK(3) + 2);
	page[1] = hold_pfn(mem, BLOCK(3) + 5);
	page[2] = hold_pfn(mem, BLOCK(5));
	for (i = 2; i < 5; i++)
		set_isolated(zone, BLOCK(i), true);
	EXPECT_EQ(t, test_pages_isolated(mem, BLOCK(2), BLOCK(3), &fail), -EBUSY);
	EXPECT_EQ(t, fail.pfn, BLOCK(3) + 2);
	EXPECT_EQ(t, test_pages_isolated(mem, BLOCK(2), BLOCK(1), &fail), 0);
	EXPECT_EQ(t, test_pages_isolated(mem, BLOCK(3) + 3, BLOCK(2) - 3, &fail), -EBUSY);
	EXPECT_EQ(t, fail.pfn, BLOCK(3) + 5);
	/* Ranges beside a page in use. */
	EXPECT_EQ(t, test_pages_isolated(mem, BLOCK(3) + 3, 2, &fail), 0);
	EXPECT_EQ(t, test_pages_isolated(mem, BLOCK(3) + 6, BLOCK(2) - 6, &fail), 0);
	EXPECT_EQ(t, test_pages_isolated(mem, BLOCK(2) + 1, BLOCK(1) + 1, &fail), 0);
	EXPECT_EQ(t, test_pages_isolated(mem, BLOCK(4), BLOCK(2), &fail), -EINVAL);
	EXPECT_EQ(t, fail.pfn, BLOCK(5));
	EXPECT_EQ(t, fail.why, WHY_BUSY);
	for (i = 2; i < 5; i++)
		set_isolated(zone, BLOCK(i), false);
	for (i = 0; i < 3; i++)
		give_block(zone, page[i]);
}

/* Pages beside a range do not matter to the scan, nor to the check that the range is free. */
KTEST(neighbours_of_a_range_do_not_matter)
{
	static const enum iso_policy policies[] = {ISO_REDRAIN, ISO_DISABLE, ISO_PRECISE};
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct page *page;
	struct mm_fail fail;
	unsigned p;

	page = hold_pfn(mem, AT);
	page_cas_state(page, PG_ALLOC, PG_SLAB);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		mem->policy = policies[p];
		EXPECT_EQ(t, alloc_contig_range(mem, AT - 2, AT, MT_UNMOVABLE, &fail), 0);
		EXPECT_EQ(t, free_contig_range(mem, AT - 2, 2), 0);
		EXPECT_EQ(t, alloc_contig_range(mem, AT + 1, AT + 3, MT_UNMOVABLE, &fail), 0);
		EXPECT_EQ(t, free_contig_range(mem, AT + 1, 2), 0);
		EXPECT_EQ(t, alloc_contig_range(mem, AT - 1, AT + 1, MT_UNMOVABLE, &fail), -EBUSY);
		EXPECT_EQ(t, fail.pfn, AT);
		EXPECT_EQ(t, alloc_contig_range(mem, AT, AT + 1, MT_UNMOVABLE, &fail), -EBUSY);
		EXPECT_EQ(t, fail.why, WHY_UNMOVABLE);
	}
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	give_block(zone_in(mem, ZONE_NORMAL), page);
}

/*
 * Under `precise` and `redrain` a drain round comes before the scan. Under `disable` there is only
 * the scan: the round was made when the caches were switched off.
 */
KTEST_INSIDE(scan_follows_the_drain_round)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	struct drain_cost cost = {0};
	struct mm_fail fail;
	struct zone *zone;
	struct page *page;

	zone = zone_in(mem, ZONE_NORMAL);
	page = hold_pfn(mem, AT);
	page_cas_state(page, PG_ALLOC, PG_SLAB);
	EXPECT_EQ(t,
	    isolate_range(mem, pfn_range(BLOCK(1), BLOCK(3)), iso_ops(ISO_PRECISE), &fail, &cost),
	    -EBUSY);
	EXPECT_EQ(t, fail.pfn, AT);
	EXPECT_EQ(t, cost.rounds, 1);
	EXPECT_EQ(t, cost.ipis, mem->nr_cpus - 1);
	EXPECT_EQ(t,
	    isolate_range(mem, pfn_range(BLOCK(1), BLOCK(3)), iso_ops(ISO_REDRAIN), &fail, &cost),
	    -EBUSY);
	EXPECT_EQ(t, cost.rounds, 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_BLOCKS), 6);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_UNDONE), 6);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t,
	    isolate_range(mem, pfn_range(BLOCK(1), BLOCK(3)), iso_ops(ISO_DISABLE), &fail, &cost),
	    -EBUSY);
	EXPECT_EQ(t, fail.pfn, AT);
	EXPECT_EQ(t, cost.rounds, 2);
	/* The blocker's pageblock was not isolated. */
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_BLOCKS), 7);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_UNDONE), 7);
	EXPECT_EQ(t, zone->nr_isolated, 0);
	EXPECT_EQ(t, mem->iso_pending, 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	give_block(zone, page);
}

/* The block is half a movable pageblock: a later piece of the scan begins inside the block. */
KTEST(a_scan_passes_a_block_larger_than_its_piece)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, BLOCKS));
	struct zone *zone;
	struct page *page;
	pfn_t pfn;

	page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, MAX_ORDER - 1));
	pfn = page_to_pfn_in(mem, page);
	zone = zone_of(mem, pfn);
	pfn = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, scan_unmovable(zone, pfn_range(pfn, PAGEBLOCK_PAGES), NULL), 0);
	EXPECT_EQ(t, mem_free_pages(mem, page, MAX_ORDER - 1), 0);
}
