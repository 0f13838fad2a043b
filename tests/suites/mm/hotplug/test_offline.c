/* SPDX-License-Identifier: MIT */
/*
 * test_offline.c: offlining and onlining ranges of pageblocks: the state afterwards, which ranges
 * are refused at once, and how an offline fails later.
 *
 * Offlines while other CPUs use the memory are in test_offline_race.c.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mov_help.h"
#include <quarry/handle.h>
#include <quarry/isolation.h>
#include <quarry/poison.h>

#define HANDLES 24

static struct census before, after;
static struct hoard hoard;
static struct handle handles[HANDLES];
static struct handle_table table;

static int offline(struct memory *mem, pfn_t start, unsigned long nr, enum iso_policy policy,
    struct offline_result *result)
{
	const struct offline_opts opts = {.policy = policy};

	return offline_pages(mem, start, nr, &opts, result);
}

KTEST_SUITE(offline, KTEST_QUICK);

KTEST(free_range_is_offlined_and_onlined, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));
	struct offline_result res;
	struct mm_fail fail = {0};
	struct zone *zone;
	unsigned p, i;
	u64 forced;

	zone = test_zone(mem, ZONE_MOVABLE);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		census_take(&before, mem);
		forced = mm_event_sum(mem, EV_DRAIN_FORCED);
		EXPECT_EQ(t, offline(mem, BLOCK(4), BLOCK(8), policies[p], &res), 0);
		EXPECT_EQ(t, res.policy, policies[p]);
		EXPECT_EQ(t, res.rounds, 1);
		EXPECT_EQ(t, res.ipis, mem->nr_cpus - 1);
		EXPECT_RANGE(t, res.loops, 0, 1);
		EXPECT_EQ(t, res.moved, 0);
		EXPECT_EQ(t, res.fail.why, WHY_NONE);
		EXPECT_COUNTED(t, mem, EV_DRAIN_FORCED, forced + 1);
		EXPECT_EQ(t, zone->managed, BLOCK(8));
		EXPECT_EQ(t, zone->present, BLOCK(8));
		EXPECT_EQ(t, memory_free_pages(mem), BLOCK(8));
		EXPECT_EQ(t, zone->nr_isolated, 0);
		EXPECT(t,
		    zone->wmark[WMARK_HIGH] < before.zone[ZONE_MOVABLE].high ||
		        BLOCK(16) / 128 <= 16);
		for (i = 0; i < 16; i++)
			EXPECT_EQ(t, pageblock_state(pageblock_of(mem, BLOCK(i))),
			    i >= 4 && i < 12 ? PB_OFFLINE : PB_ONLINE);
		expect_sound(t, mem);
		EXPECT_EQ(t, online_pages(mem, BLOCK(4), BLOCK(8), &fail), 0);
		EXPECT_COUNTED(t, mem, EV_DRAIN_FORCED, forced + 1);
		census_take(&after, mem);
		census_compare(t, &before, &after);
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_OK), 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ONLINE_OK), 2);
}

/* A pageblock of which all pages have broken comes online, and they can be repaired. */
static void broken_pageblock_comes(struct ktest *t, struct memory *mem)
{
	pfn_t pfn;

	EXPECT_EQ(t, offline(mem, BLOCK(2), BLOCK(1), ISO_PRECISE, NULL), 0);
	for (pfn = BLOCK(2); pfn < BLOCK(3); pfn++)
		EXPECT_EQ(t, mem_memory_failure(mem, pfn, 0, NULL), -ENXIO);
	EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(1), NULL), 0);
	expect_sound(t, mem);
	for (pfn = BLOCK(2); pfn < BLOCK(3); pfn++)
		EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
}

KTEST(part_of_an_offline_range_is_onlined, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));

	census_take(&before, mem);
	EXPECT_EQ(t, offline(mem, BLOCK(2), BLOCK(4), ISO_PRECISE, NULL), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(3), BLOCK(1), NULL), 0);
	EXPECT_EQ(t, test_zone(mem, ZONE_MOVABLE)->managed, BLOCK(5));
	expect_sound(t, mem);
	EXPECT_EQ(t, online_pages(mem, BLOCK(4), BLOCK(2), NULL), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(1), NULL), 0);
	broken_pageblock_comes(t, mem);
	census_take(&after, mem);
	census_compare(t, &before, &after);
}

KTEST(no_page_of_an_offline_range_is_allocated)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	unsigned i;

	EXPECT_EQ(t, offline(mem, BLOCK(3), BLOCK(3), ISO_PRECISE, NULL), 0);
	hoard = (struct hoard){.mem = mem, .gfp = GFP_MOVABLE | GFP_ATOMIC};
	ktest_on_cpu(0, hoard_take, &hoard);
	EXPECT(t, hoard.nr >= 4);
	for (i = 0; i < hoard.nr; i++)
		EXPECT(t,
		    page_to_pfn_in(mem, hoard.page[i]) < BLOCK(3) ||
		        page_to_pfn_in(mem, hoard.page[i]) >= BLOCK(6));
	ktest_on_cpu(0, hoard_give, &hoard);
}

/* Allocate HANDLES objects of orders 0 to 3. */
static void place_handles(struct ktest *t, struct memory *mem)
{
	u32 h;

	handle_table_init(&table, mem, handles, HANDLES);
	for (h = 0; h < HANDLES; h++)
		EXPECT_EQ(t, handle_alloc(&table, h, h % 4, GFP_KERNEL, h), 0);
}

static void drop_handles(struct ktest *t)
{
	u32 h;

	for (h = 0; h < HANDLES; h++)
		EXPECT_EQ(t, handle_free(&table, h), 0);
}

/* A pass that moves a page of an object moves the page of another owner that lies beside it. */
KTEST(page_of_an_object_and_the_page_beside_it_move_in_one_pass)
{
	struct offline_result res;
	struct vm_scene s;
	pfn_t pfn, first;

	if (!scene_begin_written(t, &s, 1))
		return;
	REQUIRE(t, mov_begin(t, s.mem));
	pfn = page_to_pfn_in(s.mem, page_in(s.object, 0)) ^ 1;
	first = pfn - pfn % PAGEBLOCK_PAGES;
	all_caches_off(t, s.mem);
	make_movable(s.mem, hold_pfn(s.mem, pfn), &mov.owner, 0);
	mov.pages[mov.nr++] = pfn_to_page_in(s.mem, pfn);
	EXPECT_EQ(t, offline_pages(s.mem, first, BLOCK(1), NULL, &res), 0);
	EXPECT_EQ(t, res.loops, 1);
	EXPECT_EQ(t, res.moved, 2);
	EXPECT_EQ(t, online_pages(s.mem, first, BLOCK(1), NULL), 0);
	mov_free(0);
	scene_end(t, &s);
}

KTEST(movable_objects_are_moved)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS / 2));
	struct offline_result res;
	unsigned p;
	u32 h;

	place_handles(t, mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		/* Four pageblocks, one of which holds the first object. */
		pfn_t start = ALIGN_DOWN(handle_pfn(&table, 0), BLOCK(4));
		unsigned inside = 0;

		for (h = 0; h < HANDLES; h++)
			inside += ALIGN_DOWN(handle_pfn(&table, h), BLOCK(4)) == start;
		EXPECT_EQ(t, offline(mem, start, BLOCK(4), policies[p], &res), 0);
		EXPECT_EQ(t, res.moved, inside);
		EXPECT_EQ(t, res.rounds, 1);
		for (h = 0; h < HANDLES; h++) {
			EXPECT_EQ(t, handle_verify(&table, h), 0);
			EXPECT(t, ALIGN_DOWN(handle_pfn(&table, h), BLOCK(4)) != start);
		}
		expect_sound(t, mem);
		EXPECT_EQ(t, online_pages(mem, start, BLOCK(4), NULL), 0);
	}
	EXPECT_COUNTED(t, mem, EV_MIGRATE_OK, table.moved);
	drop_handles(t);
}

/* The last of the eight pageblocks to offline holds a pinned object. */
KTEST(pinned_object_is_named_and_nothing_changes)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS / 2));
	struct offline_result res;
	struct page *page;
	pfn_t start;
	unsigned p;

	place_handles(t, mem);
	EXPECT_EQ(t, handle_pin(&table, 0), 0);
	start = ALIGN_DOWN(handle_pfn(&table, 0), PAGEBLOCK_PAGES) - BLOCK(7);
	empty_all(mem);
	census_take(&before, mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		EXPECT_EQ(t, offline(mem, start, BLOCK(8), policies[p], &res), -EBUSY);
		EXPECT_EQ(t, res.fail.why, WHY_PINNED);
		EXPECT_EQ(t, res.fail.pfn, handle_pfn(&table, 0));
		EXPECT_EQ(t, res.moved, 0);
		census_take(&after, mem);
		census_compare(t, &before, &after);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 1);
		EXPECT_EQ(t, capacity_sum(test_zone(mem, ZONE_MOVABLE), 0) > 0,
		    test_zone(mem, ZONE_MOVABLE)->pcp_capacity[0][MT_MOVABLE] > 0);
		EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
		empty_all(mem);
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_FAIL), 2);
	EXPECT_EQ(t, handle_unpin(&table, 0), 0);
	EXPECT_EQ(t, offline(mem, start, BLOCK(8), ISO_PRECISE, &res), 0);
	EXPECT_EQ(t, online_pages(mem, start, BLOCK(8), NULL), 0);
	drop_handles(t);
}

/* Expect the range to be refused with @err and @why (at @pfn, unless 0), without any change. */
static void expect_refused(struct ktest *t, struct memory *mem, pfn_t start, unsigned long nr,
    int err, enum mm_why why, pfn_t pfn)
{
	struct offline_result res;
	struct mm_fail fail = {0};
	unsigned p;

	census_take(&before, mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		EXPECT_EQ(t, offline(mem, start, nr, policies[p], &res), err);
		EXPECT_EQ(t, res.fail.why, why);
		EXPECT_EQ(t, res.rounds, 0);
		if (pfn)
			EXPECT_EQ(t, res.fail.pfn, pfn);
	}
	EXPECT_EQ(t, offline_query(mem, start, nr, &fail), err);
	EXPECT_EQ(t, fail.why, why);
	census_take(&after, mem);
	census_compare(t, &before, &after);
}

KTEST(bad_ranges_are_refused)
{
	const pfn_t top = ~(pfn_t)0 & ~(PAGEBLOCK_PAGES - 1);
	const struct {
		pfn_t start;
		unsigned long nr;
	} bad[] = {{0, 0}, {1, PAGEBLOCK_PAGES}, {0, 1}, {0, PAGEBLOCK_PAGES + 1},
	    {BLOCK(8), PAGEBLOCK_PAGES}, {BLOCK(7), 2 * PAGEBLOCK_PAGES}, {BLOCK(1), top},
	    {top, PAGEBLOCK_PAGES}, {top, 2 * PAGEBLOCK_PAGES}};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct mm_fail fail;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_refused(t, mem, bad[i].start, bad[i].nr, -EINVAL, WHY_RANGE, 0);
		EXPECT_EQ(t, online_pages(mem, bad[i].start, bad[i].nr, &fail), -EINVAL);
		EXPECT_EQ(t, fail.why, WHY_RANGE);
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_ONLINE_FAIL), ARRAY_SIZE(bad));
}

KTEST(holes_and_borders_are_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 16));
	struct mm_fail fail;

	make_hole(t, mem, BLOCK(12));
	expect_refused(t, mem, BLOCK(11), BLOCK(3), -EINVAL, WHY_HOLE, BLOCK(12));
	expect_refused(t, mem, BLOCK(7), BLOCK(2), -EINVAL, WHY_ZONES, BLOCK(8));
	EXPECT_EQ(t, online_pages(mem, BLOCK(11), BLOCK(3), &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_HOLE);
	EXPECT_EQ(t, online_pages(mem, BLOCK(7), BLOCK(2), &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_ZONES);
}

KTEST(range_already_or_partly_in_the_state_is_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));
	struct mm_fail fail;

	EXPECT_EQ(t, online_pages(mem, BLOCK(2), BLOCK(2), &fail), -EALREADY);
	EXPECT_EQ(t, fail.why, WHY_ALREADY);
	EXPECT_EQ(t, offline(mem, BLOCK(4), BLOCK(2), ISO_PRECISE, NULL), 0);
	expect_refused(t, mem, BLOCK(4), BLOCK(2), -EALREADY, WHY_ALREADY, 0);
	expect_refused(t, mem, BLOCK(3), BLOCK(2), -EINVAL, WHY_MIXED, 0);
	expect_refused(t, mem, BLOCK(5), BLOCK(2), -EINVAL, WHY_MIXED, 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(3), BLOCK(2), &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_MIXED);
	EXPECT_EQ(t, online_pages(mem, BLOCK(4), BLOCK(2), &fail), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(4), BLOCK(2), &fail), -EALREADY);
}

KTEST(unmovable_pages_are_named)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 16, 0));
	struct page *page;
	pfn_t start;

	REQUIRE(t, alloc_on(0, mem, GFP_KERNEL, 0, 1, &page) == 1);
	empty_all(mem);
	start = ALIGN_DOWN(page_to_pfn_in(mem, page), BLOCK(4));
	expect_refused(t, mem, start, BLOCK(4), -EBUSY, WHY_UNMOVABLE, page_to_pfn_in(mem, page));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_RESERVED, 0));
	expect_refused(t, mem, start, BLOCK(4), -EBUSY, WHY_RESERVED, page_to_pfn_in(mem, page));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
}

KTEST(offline_that_leaves_too_little_is_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 16));
	struct page *outside[2], *inside[8];

	/* Nothing would be left for the kernel, though the other zone has free memory. */
	expect_refused(t, mem, 0, BLOCK(4), -EBUSY, WHY_LAST, PFN_NONE);
	EXPECT_EQ(t, offline_query(mem, BLOCK(4), BLOCK(16), NULL), 0);
	/* All other memory is in use: only the range has free pages. */
	hoard = (struct hoard){.mem = mem, .gfp = GFP_KERNEL};
	ktest_on_cpu(0, hoard_take, &hoard);
	expect_refused(t, mem, BLOCK(4), BLOCK(16), -EBUSY, WHY_LAST, PFN_NONE);
	ktest_on_cpu(0, hoard_give, &hoard);
	empty_all(mem);
	EXPECT_EQ(t, offline_query(mem, BLOCK(4), BLOCK(16), NULL), 0);
	/* Enough pages are free for the watermarks, but not also for the range's pages in use. */
	EXPECT_EQ(t, alloc_on(0, mem, GFP_KERNEL, MAX_ORDER, 2, outside), 2);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, MAX_ORDER, 8, inside), 8);
	expect_refused(t, mem, BLOCK(4), BLOCK(16), -EBUSY, WHY_LAST, PFN_NONE);
	EXPECT_EQ(t, free_on(0, mem, MAX_ORDER, 2, outside), 2);
	EXPECT_EQ(t, free_on(0, mem, MAX_ORDER, 8, inside), 8);
}

KTEST(refused_disable_releases_the_claim)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	WRITE_ONCE(zone->pcp_depth, 65535u);
	EXPECT_EQ(t, offline(mem, 0, BLOCK(2), ISO_DISABLE, NULL), -EOVERFLOW);
	WRITE_ONCE(zone->pcp_depth, 1u);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	REQUIRE(t, LIST_EMPTY(&mem->claims));
	EXPECT_EQ(t, offline(mem, 0, BLOCK(2), ISO_DISABLE, NULL), 0);
}

KTEST(candidate_is_the_largest_run)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 32));
	unsigned long nr = 0;

	EXPECT_EQ(t, offline_candidate(mem, BLOCK(4), &nr), BLOCK(36));
	EXPECT_EQ(t, nr, BLOCK(4));
	/* Cut zone MOVABLE into runs of 6, 14 and 10 pageblocks. */
	EXPECT_EQ(t, offline(mem, BLOCK(14), BLOCK(1), ISO_PRECISE, NULL), 0);
	EXPECT_EQ(t, offline(mem, BLOCK(29), BLOCK(1), ISO_PRECISE, NULL), 0);
	EXPECT_EQ(t, offline_candidate(mem, BLOCK(32), &nr), BLOCK(15));
	EXPECT_EQ(t, nr, BLOCK(14));
	EXPECT_EQ(t, offline_candidate(mem, BLOCK(10), &nr), BLOCK(30));
	EXPECT_EQ(t, nr, BLOCK(10));
}

KTEST(candidate_skips_unmovable_pageblocks)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 24));
	unsigned long nr = 0;
	pfn_t pinned, found;
	struct page *page;

	place_handles(t, mem);
	EXPECT_EQ(t, handle_pin(&table, 0), 0);
	pinned = ALIGN_DOWN(handle_pfn(&table, 0), PAGEBLOCK_PAGES);
	/* Put a reserved block in the middle, too. */
	page = pfn_to_page_in(mem, BLOCK(16));
	EXPECT_EQ(t, free_order_at(mem, BLOCK(16)), MAX_ORDER);
	EXPECT_EQ(t,
	    isolate_range(mem, pfn_range(BLOCK(16), BLOCK(1)), iso_ops(ISO_PRECISE), NULL,
	        &(struct drain_cost){0}),
	    0);
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_RESERVED, MAX_ORDER));
	pageblock_of(mem, BLOCK(16))->nr_free = 0;
	found = offline_candidate(mem, BLOCK(24), &nr);
	EXPECT(t, nr > 0);
	EXPECT(t, found + nr <= pinned || found > pinned);
	EXPECT(t, found + nr <= BLOCK(16) || found > BLOCK(16));
	EXPECT(t, found >= BLOCK(8));
	EXPECT_EQ(t, offline_query(mem, found, nr, NULL), 0);
	WRITE_ONCE(page->word, 0);
	pageblock_of(mem, BLOCK(16))->nr_free = PAGEBLOCK_PAGES;
	undo_isolate_page_range(mem, BLOCK(16), BLOCK(1));
	EXPECT_EQ(t, handle_unpin(&table, 0), 0);
	drop_handles(t);
	EXPECT_EQ(t, offline_candidate(mem, 0, &nr), PFN_NONE);
	EXPECT_EQ(t, nr, 0);
}
