/* SPDX-License-Identifier: MIT */
/*
 * test_trace_ring.c: the records of a page in the rings: slow paths are always recorded, hot paths
 * on request.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mov_help.h"
#include <quarry/poison.h>
#include <quarry/memory_hotplug.h>

#define HITS 8

static unsigned kinds(const struct memory *mem, pfn_t pfn, struct trace_hit *hit)
{
	return trace_find(mem, pfn, hit, HITS);
}

KTEST_SUITE(trace_ring, KTEST_QUICK);

KTEST(slow_paths_are_recorded_in_order)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct trace_hit hit[HITS];
	struct page *page;
	pfn_t pfn;

	REQUIRE(t, zone_pcp_disable(&mem->zones[ZONE_NORMAL]) == 0);
	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 2));
	pfn = page_to_pfn_in(mem, page);
	EXPECT_EQ(t, mem_free_pages(mem, page, 2), 0);
	EXPECT_EQ(t, zone_pcp_enable(&mem->zones[ZONE_NORMAL]), 0);
	/* The history of a tail is that of its block. */
	REQUIRE(t, kinds(mem, pfn + 3, hit) == 2);
	EXPECT_EQ(t, hit[0].rec.kind, TR_take);
	EXPECT_EQ(t, hit[1].rec.kind, TR_direct);
	EXPECT_EQ(t, hit[1].rec.pfn, pfn);
	EXPECT_EQ(t, hit[1].rec.order, 2);
	EXPECT(t, hit[0].rec.time <= hit[1].rec.time);
}

/* A block without a stack gets no time from the clock, but one after its zone's last record. */
KTEST_INSIDE(records_of_batches_and_single_blocks_are_in_order)
{
	static const enum trace_kind want[] = {
	    TR_take, TR_direct, TR_refill, TR_give, TR_take, TR_direct};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	struct page *page, *first;
	struct trace_hit hit[HITS];
	unsigned i;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	set_plan(zone, 0, MT_MOVABLE, 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 2, 1, &first), 1);
	EXPECT_EQ(t, free_on(0, mem, 2, 1, &first), 1);
	/* The same four pages, one by one. */
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page), 1);
	EXPECT(t, page == first);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 4);
	empty_all(mem);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 2, 1, &page), 1);
	EXPECT(t, page == first);
	EXPECT_EQ(t, free_on(0, mem, 2, 1, &page), 1);
	REQUIRE(t, kinds(mem, page_to_pfn_in(mem, first) + 1, hit) == ARRAY_SIZE(want));
	for (i = 0; i < ARRAY_SIZE(want); i++)
		EXPECT_EQ(t, hit[i].rec.kind, want[i]);
	restore_plan(zone);
}

KTEST(hot_paths_are_recorded_only_on_request)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 64, 4));
	struct trace_hit hit[HITS];
	unsigned before;
	pfn_t pfn;
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));

	pfn = page_to_pfn_in(mem, page);
	before = kinds(mem, pfn, hit);
	/* The freed page is cached, and the next allocation gets the newest cached page. */
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT(t, mem_alloc_pages(mem, GFP_KERNEL, 0) == page);
	EXPECT_EQ(t, kinds(mem, pfn, hit), before);
	trace_switch(mem, true);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT(t, mem_alloc_pages(mem, GFP_KERNEL, 0) == page);
	trace_switch(mem, false);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	REQUIRE(t, kinds(mem, pfn, hit) == before + 2);
	EXPECT_EQ(t, hit[before].rec.kind, TR_free);
	EXPECT_EQ(t, hit[before + 1].rec.kind, TR_alloc);
}

/* Each page is recorded, whether the bulk call took it from the cache or not. */
KTEST(pages_of_a_bulk_are_recorded)
{
	static struct page *pages[2 * PCP_BATCH];
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 4));
	struct trace_hit hit[HITS];
	unsigned i, at, nr;

	trace_switch(mem, true);
	EXPECT_EQ(
	    t, mem_alloc_pages_bulk(mem, GFP_KERNEL, ARRAY_SIZE(pages), pages), ARRAY_SIZE(pages));
	EXPECT_EQ(t, mem_free_pages_bulk(mem, ARRAY_SIZE(pages), pages), 0);
	trace_switch(mem, false);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		unsigned allocs = 0, frees = 0;

		nr = kinds(mem, page_to_pfn_in(mem, pages[i]), hit);
		for (at = 0; at < nr; at++) {
			allocs += hit[at].rec.kind == TR_alloc && !frees;
			frees += hit[at].rec.kind == TR_free && allocs;
		}
		EXPECT_EQ(t, allocs, 1);
		EXPECT_EQ(t, frees, 1);
	}
}

KTEST(ranges_are_one_record)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 8));
	struct trace_hit hit[HITS];
	pfn_t start = 6 * PAGEBLOCK_PAGES;
	unsigned nr;

	EXPECT_EQ(t, offline_pages(mem, start, 3 * PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, online_pages(mem, start, 3 * PAGEBLOCK_PAGES, NULL), 0);
	nr = kinds(mem, start + 3 * PAGEBLOCK_PAGES - 1, hit);
	REQUIRE(t, nr == 3);
	EXPECT_EQ(t, hit[0].rec.kind, TR_isolate);
	EXPECT_EQ(t, hit[1].rec.kind, TR_offline);
	EXPECT_EQ(t, hit[2].rec.kind, TR_online);
	EXPECT_EQ(t, hit[2].rec.blocks, 3);
	EXPECT_EQ(t, kinds(mem, start + 3 * PAGEBLOCK_PAGES, hit), 0);
	EXPECT_EQ(t, kinds(mem, start - 1, hit), 0);
}

KTEST(an_undone_offline_leaves_both_records)
{
	const u32 cancel = 1;
	const struct offline_opts opts = {.policy = ISO_PRECISE, .cancel = &cancel};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 8));
	struct trace_hit hit[HITS];
	pfn_t start = 6 * PAGEBLOCK_PAGES;

	EXPECT_EQ(t, offline_pages(mem, start, 2 * PAGEBLOCK_PAGES, &opts, NULL), -EINTR);
	REQUIRE(t, kinds(mem, start + 5, hit) == 2);
	EXPECT_EQ(t, hit[0].rec.kind, TR_isolate);
	EXPECT_EQ(t, hit[0].rec.blocks, 2);
	EXPECT_EQ(t, hit[1].rec.kind, TR_restore);
	EXPECT_EQ(t, hit[1].rec.blocks, 2);
}

KTEST(a_page_is_followed_from_owner_to_owner)
{
	static const enum trace_kind want[] = {TR_take, TR_movable, TR_lru_take, TR_moved};
	struct memory *mem = ktest_memory(t, 0, 0, 8);
	struct trace_hit hit[HITS];
	struct page *page;
	unsigned i, nr;
	pfn_t pfn;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	mov_fill(1);
	REQUIRE(t, mov.nr == 1);
	page = mov.pages[0];
	pfn = page_to_pfn_in(mem, page);
	EXPECT_EQ(t, isolate_movable_page(mem, pfn), 0);
	EXPECT_EQ(t, migrate_pages(mem, &page, 1, NULL), 0);
	nr = kinds(mem, pfn, hit);
	REQUIRE(t, nr > ARRAY_SIZE(want));
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		EXPECT_EQ(t, hit[i].rec.kind, want[i]);
		EXPECT_EQ(t, hit[i].rec.pfn, pfn);
	}
	EXPECT_EQ(t, mem_soft_offline_page(mem, pfn), 0);
	nr = kinds(mem, pfn, hit);
	REQUIRE(t, nr > 0);
	EXPECT_EQ(t, hit[nr - 1].rec.kind, TR_retired);
	EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	mov_end(t);
}

KTEST(oldest_records_are_overwritten)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct trace_hit hit[HITS];
	unsigned i;

	trace_page(mem, TR_put, 1, 0);
	for (i = 0; i < TRACE_RECORDS; i++)
		trace_page(mem, TR_put, 2, 0);
	EXPECT_EQ(t, kinds(mem, 1, hit), 0);
	/* Each record that is left is found exactly once. */
	trace_page(mem, TR_put, 3, 0);
	EXPECT_EQ(t, kinds(mem, 3, hit), 1);
	/* Of more records than the array can hold, the newest are found. */
	trace_page(mem, TR_moved, 2, 0);
	REQUIRE(t, kinds(mem, 2, hit) == HITS);
	EXPECT_EQ(t, hit[HITS - 1].rec.kind, TR_moved);
}

static void note_put(void *arg)
{
	trace_page(arg, TR_put, 5, 0);
}

KTEST(records_of_several_cpus_are_in_order_of_time)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	unsigned nr = MIN(ktest_cpus(), (unsigned)HITS), i;
	struct trace_hit hit[HITS];

	/* The last CPU records first, so that the order of time is not that of the rings. */
	for (i = nr; i-- > 0;)
		ktest_on_cpu(i, note_put, mem);
	REQUIRE(t, kinds(mem, 5, hit) == nr);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(t, hit[i].cpu, nr - 1 - i);
}

/* The clock may stand still between two records. */
KTEST(records_of_one_moment_stay_in_their_order)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct trace_hit hit[HITS];
	struct trace_ring *ring;
	irqflags_t flags;
	unsigned i;

	flags = arch_irq_save();
	ring = mem->pcp[arch_cpu_id()]->ring;
	for (i = 0; i < 4; i++)
		trace_page(mem, TR_put, 8, i);
	for (i = 0; i < 4; i++)
		ring->rec[i].time = i < 3 ? 1000 : 500;
	arch_irq_restore(flags);
	REQUIRE(t, kinds(mem, 8, hit) == 4);
	EXPECT_EQ(t, hit[0].rec.order, 3);
	for (i = 1; i < 4; i++)
		EXPECT_EQ(t, hit[i].rec.order, i - 1);
	EXPECT_EQ(t, trace_find(mem, 8, hit, 0), 0);
	EXPECT_EQ(t, trace_find(mem, 8, hit, 1), 1);
	EXPECT_EQ(t, hit[0].rec.time, 1000);
}

/* A block begins at its head and ends before the next head. */
KTEST(a_record_concerns_its_block_and_no_other)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct trace_hit hit[HITS];
	pfn_t pfn;

	trace_page(mem, TR_take, 8, 2);
	trace_range(mem, TR_isolate, 2 * PAGEBLOCK_PAGES, 2 * PAGEBLOCK_PAGES);
	for (pfn = 6; pfn < 14; pfn++)
		EXPECT_EQ(t, kinds(mem, pfn, hit), pfn >= 8 && pfn < 12);
	EXPECT_EQ(t, kinds(mem, 2 * PAGEBLOCK_PAGES - 1, hit), 0);
	EXPECT_EQ(t, kinds(mem, 2 * PAGEBLOCK_PAGES, hit), 1);
	EXPECT_EQ(t, hit[0].rec.blocks, 2);
	EXPECT_EQ(t, kinds(mem, 4 * PAGEBLOCK_PAGES - 1, hit), 1);
	EXPECT_EQ(t, kinds(mem, 4 * PAGEBLOCK_PAGES, hit), 0);
	EXPECT_EQ(t, kinds(mem, PFN_NONE, hit), 2);
}

KTEST(blocks_side_by_side_are_one_record)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct trace_hit hit[HITS];
	struct page *pages[4];
	unsigned i, nr;

	/* Pages 1, 2, 3 and 5 lie in a larger block; their words have order 0. */
	for (i = 0; i < 4; i++)
		pages[i] = pfn_to_page_in(mem, i + 1 + i / 3);
	trace_pages(mem, TR_put, pages, 4);
	for (i = 1; i < 6; i++) {
		nr = kinds(mem, i, hit);
		EXPECT_EQ(t, nr && hit[nr - 1].rec.kind == TR_put, i != 4);
		EXPECT_EQ(t, nr && hit[nr - 1].rec.kind == TR_put ? hit[nr - 1].rec.pfn : i,
		    i < 4 ? 1 : i);
	}
}
