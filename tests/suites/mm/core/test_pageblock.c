/* SPDX-License-Identifier: MIT */
/*
 * test_pageblock.c: types and isolate bits of pageblocks, and the stack numbers that follow from
 * them; when a fallback converts a pageblock, and when it takes only a block of it; and the first
 * pageblock because of which a range is refused.
 */
#include "tests/lib/mm_test.h"
#include <quarry/memory_hotplug.h>

static unsigned long listed_pages(const struct zone *zone, enum migratetype type)
{
	unsigned long pages = 0;
	unsigned order;

	for (order = 0; order < NR_ORDERS; order++)
		pages += (unsigned long)zone_free_blocks(zone, order, type) << order;
	return pages;
}

KTEST_SUITE(pageblock, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(type_change_moves_the_free_blocks)
{
	struct zone *zone = NEED(t, normal_zone(t, 2));
	unsigned order;
	struct page *page;

	page = NEED(t, take_block(zone, 0, MT_MOVABLE));
	set_type(zone, page_to_pfn_in(zone->mem, page), MT_RECLAIMABLE);
	for (order = 0; order < MAX_ORDER; order++) {
		EXPECT_EQ(t, zone_free_blocks(zone, order, MT_RECLAIMABLE), 1);
		EXPECT_EQ(t, zone_free_blocks(zone, order, MT_MOVABLE), 0);
	}
	/* The free block of the other pageblock keeps its type, and no page is lost. */
	EXPECT_EQ(t, listed_pages(zone, MT_MOVABLE), PAGEBLOCK_PAGES);
	EXPECT_EQ(t, zone->nr_free, 2 * PAGEBLOCK_PAGES - 1);
	give_block(zone, page);
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_RECLAIMABLE), 1);
}

KTEST(isolating_keeps_the_type)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	unsigned type;

	for (type = 0; type < NR_MIGRATETYPES; type++) {
		set_type(zone, 0, (enum migratetype)type);
		set_isolated(zone, 0, true);
		EXPECT_EQ(t, pageblock_type(pageblock_of(zone->mem, 0)), type);
		EXPECT_EQ(t, listed_pages(zone, (enum migratetype)type), 0);
		EXPECT_EQ(t, tree_of(zone->mem, 0)->list, 0);
		EXPECT_EQ(t, pageblock_of(zone->mem, 0)->nr_free, PAGEBLOCK_PAGES);
		EXPECT_EQ(t, zone->nr_isolated, 1);
		set_isolated(zone, 0, false);
		EXPECT_EQ(t, listed_pages(zone, (enum migratetype)type), PAGEBLOCK_PAGES);
		EXPECT_EQ(t, zone->nr_isolated, 0);
	}
}

static void expect_stacks(struct ktest *t, const struct zone *zone, bool cached, unsigned type)
{
	const struct pageblock *pb = pageblock_of(zone->mem, zone->start_pfn);

	EXPECT_EQ(t, pb->stack, cached ? stacks_of(zone->id) + type : 0);
}

KTEST(stack_numbers_follow_type_and_bit)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	unsigned type;

	for (type = 0; type < NR_MIGRATETYPES; type++) {
		set_type(zone, 0, (enum migratetype)type);
		expect_stacks(t, zone, type != MT_CMA, type);
		set_isolated(zone, 0, true);
		expect_stacks(t, zone, false, type);
		set_isolated(zone, 0, false);
		expect_stacks(t, zone, type != MT_CMA, type);
	}
}

KTEST(stack_numbers_follow_the_state)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	pfn_t start = 2 * PAGEBLOCK_PAGES;
	struct zone *zone;

	zone = &mem->zones[ZONE_MOVABLE];
	expect_stacks(t, zone, true, MT_MOVABLE);
	EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, start)), PB_OFFLINE);
	expect_stacks(t, zone, false, MT_MOVABLE);
	EXPECT_EQ(t, online_pages(mem, start, PAGEBLOCK_PAGES, NULL), 0);
	expect_stacks(t, zone, true, MT_MOVABLE);
}

/* A zone of one pageblock with @nr free pages; one or two allocated blocks have the others. */
static struct zone *zone_with_free(struct ktest *t, unsigned long nr, enum migratetype type)
{
	struct zone *zone = normal_zone(t, 1);
	struct page *rest;

	if (!zone)
		return NULL;
	set_type(zone, 0, type);
	if (!take_block(zone, MAX_ORDER - 1, type))
		return NULL;
	if (nr == PAGEBLOCK_PAGES / 2)
		return zone;
	KASSERT(nr == PAGEBLOCK_PAGES / 2 - 1);
	rest = take_block(zone, 0, type);
	return rest ? zone : NULL;
}

KTEST_CONTRACT(half_free_pageblock_is_stolen, KTEST_SLOW)
{
	struct zone *zone = NEED(t, zone_with_free(t, PAGEBLOCK_PAGES / 2, MT_MOVABLE));
	pfn_t pfn;

	REQUIRE(t, take_fallback(zone, 0, MT_UNMOVABLE));
	EXPECT_EQ(t, pageblock_type(pageblock_of(zone->mem, 0)), MT_UNMOVABLE);
	EXPECT_EQ(t, listed_pages(zone, MT_UNMOVABLE), PAGEBLOCK_PAGES / 2 - 1);
	EXPECT_EQ(t, listed_pages(zone, MT_MOVABLE), 0);
	/* The other half is freed, all pages are taken singly, and each second one is freed. */
	give_block(zone, pfn_to_page_in(zone->mem, 0));
	while (take_block(zone, 0, MT_UNMOVABLE))
		;
	for (pfn = 0; pfn < PAGEBLOCK_PAGES; pfn += 2)
		give_block(zone, pfn_to_page_in(zone->mem, pfn));
	REQUIRE(t, take_fallback(zone, 0, MT_RECLAIMABLE));
	EXPECT_EQ(t, pageblock_type(pageblock_of(zone->mem, 0)), MT_RECLAIMABLE);
}

KTEST_CONTRACT(less_free_pageblock_gives_only_the_requested_block)
{
	struct zone *zone = NEED(t, zone_with_free(t, PAGEBLOCK_PAGES / 2 - 1, MT_MOVABLE));

	REQUIRE(t, take_fallback(zone, 1, MT_UNMOVABLE));
	EXPECT_EQ(t, pageblock_type(pageblock_of(zone->mem, 0)), MT_MOVABLE);
	EXPECT_EQ(t, listed_pages(zone, MT_UNMOVABLE), 0);
	EXPECT_EQ(t, listed_pages(zone, MT_MOVABLE), PAGEBLOCK_PAGES / 2 - 3);
}

KTEST_CONTRACT(fallbacks_are_counted)
{
	struct zone *zone = NEED(t, zone_with_free(t, PAGEBLOCK_PAGES / 2, MT_MOVABLE));

	REQUIRE(t, take_fallback(zone, 0, MT_UNMOVABLE));
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_FALLBACK_STEAL), 1);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_FALLBACK_MIX), 0);
	/* Less than half of the pageblock is free now. */
	REQUIRE(t, take_fallback(zone, 0, MT_MOVABLE));
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_FALLBACK_STEAL), 1);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_FALLBACK_MIX), 1);
}

KTEST(steal_takes_all_the_free_blocks_along)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *page;
	unsigned order;

	page = NEED(t, take_block(zone, 0, MT_MOVABLE));
	/*
	 * A block of each order is free. The pageblock is stolen; then the smallest sufficient
	 * block is taken.
	 */
	REQUIRE(t, take_fallback(zone, 1, MT_RECLAIMABLE));
	for (order = 0; order < MAX_ORDER; order++) {
		EXPECT_EQ(t, zone_free_blocks(zone, order, MT_RECLAIMABLE), order != 1);
		EXPECT_EQ(t, zone_free_blocks(zone, order, MT_MOVABLE), 0);
	}
	/* Pages freed from now on are of the new type. */
	give_block(zone, page);
	EXPECT_EQ(t, zone_free_blocks(zone, 1, MT_RECLAIMABLE), 1);
}

KTEST_CONTRACT(fallback_tries_the_types_in_their_order)
{
	static const u8 want[NR_CACHED_TYPES][3] = {
	    [MT_UNMOVABLE] = {MT_RECLAIMABLE, MT_MOVABLE, NR_MIGRATETYPES},
	    [MT_MOVABLE] = {MT_CMA, MT_RECLAIMABLE, MT_UNMOVABLE},
	    [MT_RECLAIMABLE] = {MT_UNMOVABLE, MT_MOVABLE, NR_MIGRATETYPES},
	};
	struct zone *zone = NEED(t, normal_zone(t, NR_MIGRATETYPES));
	struct pile pile = {NULL, 0};
	unsigned type, i;

	for (type = 0; type < NR_CACHED_TYPES; type++) {
		for (i = 0; i < NR_MIGRATETYPES; i++)
			set_type(zone, i * PAGEBLOCK_PAGES, (enum migratetype)i);
		REQUIRE(t,
		    take_block(zone, MAX_ORDER, (enum migratetype)type) ==
		        pfn_to_page_in(zone->mem, type * PAGEBLOCK_PAGES));
		pile_push(&pile, pfn_to_page_in(zone->mem, type * PAGEBLOCK_PAGES));
		for (i = 0; i < 3 && want[type][i] < NR_MIGRATETYPES; i++) {
			struct page *page = take_fallback(zone, MAX_ORDER, (enum migratetype)type);

			REQUIRE(t, page);
			EXPECT_EQ(
			    t, page_to_pfn_in(zone->mem, page) >> PAGEBLOCK_ORDER, want[type][i]);
			pile_push(&pile, page);
		}
		EXPECT(t, !take_fallback(zone, 0, (enum migratetype)type));
		while (pile.top)
			give_block(zone, pile_pop(&pile));
	}
}

KTEST_CONTRACT(fallback_takes_from_the_largest_block)
{
	struct zone *zone = NEED(t, normal_zone(t, 2));
	struct page *small, *page;

	small = NEED(t, take_block(zone, 0, MT_MOVABLE));
	page = NEED(t, take_fallback(zone, 0, MT_UNMOVABLE));
	EXPECT(t,
	    page_to_pfn_in(zone->mem, page) >> PAGEBLOCK_ORDER !=
	        page_to_pfn_in(zone->mem, small) >> PAGEBLOCK_ORDER);
}

KTEST_CONTRACT(cma_is_lent_to_movable_requests_only)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *page;

	set_type(zone, 0, MT_CMA);
	EXPECT(t, !take_fallback(zone, 0, MT_UNMOVABLE));
	EXPECT(t, !take_fallback(zone, 0, MT_RECLAIMABLE));
	page = NEED(t, take_fallback(zone, 0, MT_MOVABLE));
	/* The pageblock was wholly free, yet its type does not change. */
	EXPECT_EQ(t, pageblock_type(pageblock_of(zone->mem, 0)), MT_CMA);
	EXPECT_EQ(t, listed_pages(zone, MT_CMA), PAGEBLOCK_PAGES - 1);
	give_block(zone, page);
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_CMA), 1);
}

KTEST_CONTRACT(zone_movable_refuses_unmovable_requests)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 2));
	struct zone *zone;
	unsigned long pfn;

	zone = &mem->zones[ZONE_MOVABLE];
	EXPECT(t, !take_fallback(zone, 0, MT_UNMOVABLE));
	EXPECT(t, !take_fallback(zone, MAX_ORDER, MT_RECLAIMABLE));
	EXPECT(t, !mem_alloc_pages(mem, GFP_NOWAIT | GFP_UNMOVABLE, 0));
	EXPECT(t, !mem_alloc_pages(mem, GFP_NOWAIT | GFP_RECLAIMABLE, 0));
	EXPECT(t, !mem_alloc_pages(mem, GFP_ATOMIC, 0));
	for (pfn = 0; pfn < 2 * PAGEBLOCK_PAGES; pfn += PAGEBLOCK_PAGES)
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, pfn)), MT_MOVABLE);
	EXPECT_EQ(t, zone->nr_free, 2 * PAGEBLOCK_PAGES);
}

KTEST_CONTRACT(isolated_pageblock_is_not_stolen)
{
	struct zone *zone = NEED(t, normal_zone(t, 2));
	struct page *page;

	set_isolated(zone, 0, true);
	page = NEED(t, take_fallback(zone, MAX_ORDER, MT_UNMOVABLE));
	EXPECT_EQ(t, page_to_pfn_in(zone->mem, page), PAGEBLOCK_PAGES);
	EXPECT(t, !take_fallback(zone, 0, MT_UNMOVABLE));
	EXPECT_EQ(t, pageblock_type(pageblock_of(zone->mem, 0)), MT_MOVABLE);
	give_block(zone, page);
	set_isolated(zone, 0, false);
}

KTEST(cached_pages_of_a_stolen_pageblock_go_to_its_new_type)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, 0));
	struct zone *zone;
	struct page *page;
	pfn_t pfn;
	irqflags_t flags;
	unsigned long cached;

	zone = &mem->zones[ZONE_NORMAL];
	/* Interrupts are off, so that this CPU's cache does not change in between. */
	flags = arch_irq_save();
	page = mem_alloc_pages(mem, GFP_NOWAIT | GFP_MOVABLE, 0);
	if (!page || mem_free_pages(mem, page, 0)) {
		arch_irq_restore(flags);
		REQUIRE(t, !"a page to cache");
	}
	cached = zone_pcp_pages(zone);
	pfn = page_to_pfn_in(mem, page);
	set_type(zone, pfn, MT_RECLAIMABLE);
	drain_local_pages(mem, zone);
	arch_irq_restore(flags);
	EXPECT(t, cached > 0);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_RECLAIMABLE), 1);
	EXPECT_EQ(t, listed_pages(zone, MT_RECLAIMABLE), PAGEBLOCK_PAGES);
}

KTEST(first_blocking_pageblock_is_named)
{
	const unsigned long p = PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 2));
	struct mm_fail fail;
	struct zone *zone = NULL;
	unsigned i;
	u8 bits;

	for (i = 0; i < 4; i++) {
		bits = mem->pageblocks[i].bits;
		mem->pageblocks[i].bits = 0; /* PB_HOLE */
		EXPECT_EQ(t, range_zone(mem, pfn_range(0, 4 * p), &zone, &fail), -EINVAL);
		EXPECT_EQ(t, fail.why, WHY_HOLE);
		EXPECT_EQ(t, fail.pfn, i * p);
		EXPECT_EQ(t, range_zone(mem, pfn_range(0, 6 * p), &zone, &fail), -EINVAL);
		EXPECT_EQ(t, fail.why, WHY_HOLE);
		if (i > 0)
			EXPECT_EQ(t, range_zone(mem, pfn_range(0, i * p), &zone, NULL), 0);
		mem->pageblocks[i].bits = bits;
	}
	EXPECT_EQ(t, range_zone(mem, pfn_range(0, 6 * p), &zone, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_ZONES);
	EXPECT_EQ(t, fail.pfn, 4 * p);
	EXPECT_EQ(t, range_zone(mem, pfn_range(0, 4 * p), &zone, &fail), 0);
	EXPECT(t, zone == &mem->zones[ZONE_NORMAL]);
}
