/* SPDX-License-Identifier: MIT */
/*
 * buddy_range.c: takes given pages out of free blocks, for contiguous ranges, and frees given
 * reserved pages, for boot memory.
 *
 * Owns:       nothing of its own; it changes the data of buddy.c, and RESERVED pages that it frees.
 * Locks:      the zone lock throughout.
 * Invariants: those of buddy.c, at the end of each function; no page outside the given range is
 *             allocated or freed.
 * Tests:      contig, buddy, init, standby_exact.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"

/* Allocate the pages of [start, end) in the block at @pfn, which is in no tree; free the rest. */
static void take_pages(struct zone *zone, pfn_t pfn, unsigned order, pfn_t start, pfn_t end)
    REQUIRES_ZONE(zone)
{
	if (pfn >= end || pfn + (1UL << order) <= start) {
		buddy_list_add(zone, pfn, order);
	} else if (order > 0) {
		take_pages(zone, pfn, order - 1, start, end);
		take_pages(zone, pfn + (1UL << (order - 1)), order - 1, start, end);
	} else {
		page_store(pfn_to_page_in(zone->mem, pfn), AS_TAIL, AS_ALLOC(0));
	}
}

void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end)
{
	pfn_t pfn = page_head(zone->mem, start);
	int order;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(start < end && end <= ALIGN_DOWN(start, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
	KASSERT(pfn <= start);
	for (; pfn < end; pfn += 1UL << order) {
		order = free_order_at(zone->mem, pfn);
		PAGE_ASSERT(zone->mem, pfn_to_page_in(zone->mem, pfn), order >= 0);
		buddy_list_del(zone, pfn, (unsigned)order);
		take_pages(zone, pfn, (unsigned)order, start, end);
	}
}

/* Cut the reserved block around @pfn until a piece begins there and ends by @end; its order. */
static unsigned carve_reserved(struct memory *mem, pfn_t pfn, pfn_t end)
{
	pfn_t head = page_head(mem, pfn);
	unsigned order = word_order(page_word(pfn_to_page_in(mem, head)));

	while (head != pfn || head + (1UL << order) > end) {
		pfn_t upper;

		PAGE_ASSERT(mem, pfn_to_page_in(mem, pfn), order > 0);
		order--;
		upper = head + (1UL << order);
		page_store(pfn_to_page_in(mem, upper), AS_TAIL, AS_RESERVED(order));
		page_store(pfn_to_page_in(mem, head), AS_RESERVED(order + 1), AS_RESERVED(order));
		if (pfn >= upper)
			head = upper;
	}
	return order;
}

void zone_free_reserved(struct zone *zone, pfn_t start, pfn_t end)
{
	struct memory *mem = zone->mem;
	unsigned order;
	pfn_t pfn;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(start <= end && end - start <= PAGEBLOCK_PAGES);
	for (pfn = start; pfn < end; pfn += 1UL << order) {
		order = carve_reserved(mem, pfn, end);
		PAGE_ASSERT(mem, pfn_to_page_in(mem, pfn),
		    page_word(pfn_to_page_in(mem, pfn)) == PAGE_WORD(1, PG_RESERVED, order));
		zone_add_pages(zone, 0, 1UL << order);
		buddy_free(zone, pfn, order);
	}
	KASSERT(zone->managed <= zone->present);
}
