/* SPDX-License-Identifier: MIT */
/*
 * buddy.c: free lists, splitting and merging.
 *
 * Owns:       zone->free, zone->nr_free, pageblock.nr_free, and pages in state FREE.
 * Locks:      the zone lock throughout.
 * Invariants: a free block is on the list of its order and of its pageblock's type, or, if the
 *             pageblock is isolated, on none; no two free buddies stay unmerged; no block crosses a
 *             pageblock, so that buddies always agree in zone, type and isolate bit.
 * Checked by: check_memory().  Tests: buddy, check.
 */
#include "mm/buddy.h"
#include "mm/event.h"
#include "mm/page.h"
#include "mm/page_assert.h"

void buddy_list_add(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct memory *mem = zone->mem;
	struct pageblock *pb = pageblock_of(mem, pfn);
	struct page *page = pfn_to_page_in(mem, pfn);
	struct free_list *list;

	PAGE_ASSERT(mem, page, page_word(page) == PAGE_WORD(0, PG_FREE, order));
	CHECKED_ASSERT(pb->zone == zone->id && pageblock_state(pb) == PB_ONLINE);
	CHECKED_ASSERT(pb->nr_free + (1UL << order) <= PAGEBLOCK_PAGES);
	WRITE_ONCE(pb->nr_free, (u16)(pb->nr_free + (1u << order)));
	if (pageblock_isolated(pb))
		return;
	list = &zone->free[order][pageblock_type(pb)];
	page->prev = (u32)PFN_NONE;
	page->next = list->head;
	if (list->head != PFN_NONE)
		pfn_to_page_in(mem, list->head)->prev = (u32)pfn;
	list->head = (u32)pfn;
	WRITE_ONCE(list->nr, list->nr + 1);
	WRITE_ONCE(zone->nr_free, zone->nr_free + (1UL << order));
	if (unlikely(pageblock_type(pb) == MT_CMA))
		WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma + (1UL << order));
}

void buddy_list_del(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct memory *mem = zone->mem;
	struct pageblock *pb = pageblock_of(mem, pfn);
	struct page *page = pfn_to_page_in(mem, pfn);
	struct free_list *list;

	PAGE_ASSERT(mem, page, page_word(page) == PAGE_WORD(0, PG_FREE, order));
	CHECKED_ASSERT(pb->nr_free >= 1UL << order);
	WRITE_ONCE(pb->nr_free, (u16)(pb->nr_free - (1u << order)));
	/*
	 * Its user will write to it: what the host was told of the pageblock is no longer true.
	 */
	if (unlikely(pb->bits & PB_REPORTED))
		WRITE_ONCE(pb->bits, pb->bits & (u8)~PB_REPORTED);
	if (pageblock_isolated(pb))
		return;
	list = &zone->free[order][pageblock_type(pb)];
	CHECKED_ASSERT(list->nr > 0 && (list->head == pfn) == (page->prev == PFN_NONE));
	CHECKED_ASSERT(page->prev == PFN_NONE || pfn_to_page_in(mem, page->prev)->next == pfn);
	CHECKED_ASSERT(page->next == PFN_NONE || pfn_to_page_in(mem, page->next)->prev == pfn);
	if (page->prev == PFN_NONE)
		list->head = page->next;
	else
		pfn_to_page_in(mem, page->prev)->next = page->next;
	if (page->next != PFN_NONE)
		pfn_to_page_in(mem, page->next)->prev = page->prev;
	WRITE_ONCE(list->nr, list->nr - 1);
	WRITE_ONCE(zone->nr_free, zone->nr_free - (1UL << order));
	if (unlikely(pageblock_type(pb) == MT_CMA))
		WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma - (1UL << order));
}

/*
 * The type and the isolate bit of the pageblock are read here, under the lock (by buddy_list_add),
 * and nowhere earlier: whatever the caller believed about the pageblock may have changed since.
 */
void buddy_free(struct zone *zone, pfn_t pfn, unsigned order)
{
	struct memory *mem = zone->mem;
	struct page *page = pfn_to_page_in(mem, pfn);

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	CHECKED_ASSERT(order <= MAX_ORDER && !(pfn & ((1UL << order) - 1)));
	if (unlikely(pageblock_isolated(pageblock_of(mem, pfn))))
		MM_EVENT(mem, FREE_ISOLATED);
	while (order < MAX_ORDER) {
		pfn_t buddy = pfn ^ (1UL << order);
		struct page *other = pfn_to_page_in(mem, buddy);

		if (page_word(other) != PAGE_WORD(0, PG_FREE, order))
			break;
		buddy_list_del(zone, buddy, order);
		/* Of the two heads the upper one becomes a tail; the word of a tail is 0. */
		if (buddy < pfn) {
			WRITE_ONCE(page->word, 0);
			page = other;
			pfn = buddy;
		} else {
			WRITE_ONCE(other->word, 0);
		}
		order++;
	}
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_FREE, order));
	buddy_list_add(zone, pfn, order);
}

pfn_t buddy_take(struct zone *zone, pfn_t pfn, unsigned have, unsigned order)
{
	struct memory *mem = zone->mem;

	CHECKED_ASSERT(spin_is_held(&zone->lock));
	CHECKED_ASSERT(order <= have && have <= MAX_ORDER);
	buddy_list_del(zone, pfn, have);
	while (have > order) {
		pfn_t upper;

		have--;
		upper = pfn + (1UL << have);
		page_set_state(pfn_to_page_in(mem, upper), PG_TAIL, PG_FREE, 0, 0, 0, have);
		buddy_list_add(zone, upper, have);
	}
	/* The old head last: until now every walker still saw one block. */
	WRITE_ONCE(pfn_to_page_in(mem, pfn)->word, PAGE_WORD(0, PG_FREE, order));
	return pfn;
}

pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned have;

	CHECKED_ASSERT(type < NR_MIGRATETYPES);
	for (have = order; have <= MAX_ORDER; have++) {
		pfn_t pfn = zone->free[have][type].head;

		if (pfn != PFN_NONE)
			return buddy_take(zone, pfn, have, order);
	}
	return PFN_NONE;
}
