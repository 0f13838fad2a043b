/* SPDX-License-Identifier: MIT */
/*
 * name: whole_pieces
 * title: a piece that lies wholly in the range is taken in one step
 */

static void take_pages(struct zone *zone, pfn_t pfn, unsigned order, pfn_t start, pfn_t end)
{
	pfn_t half = pfn + (1UL << order) / 2;
	bool inside = pfn >= start && pfn + (1UL << order) <= end;
	bool outside = pfn >= end || pfn + (1UL << order) <= start;

	if (outside) {
		buddy_list_add(zone, pfn, order);
		return;
	}
	if (inside) {
		for (half = pfn + (1UL << order); half-- > pfn;)
			WRITE_ONCE(
			    pfn_to_page_in(zone->mem, half)->word, PAGE_WORD(1, PG_ALLOC, 0));
		return;
	}
	take_pages(zone, half, order - 1, start, end);
	take_pages(zone, pfn, order - 1, start, end);
}
