/* SPDX-License-Identifier: MIT */
/*
 * title: of a block on the border only the half that lies in the range is cut further
 * layer: model
 * file: mm/core/buddy_range.c
 */

static void take_pages(struct zone *zone, pfn_t pfn, unsigned order, pfn_t start, pfn_t end)
{
	pfn_t half = pfn + (1UL << order) / 2;

	if (order == 0) {
		page_store(pfn_to_page_in(zone->mem, pfn), AS_TAIL, AS_ALLOC(0));
		return;
	}
	if (half < end && half + (1UL << order) / 2 > start)
		take_pages(zone, half, order - 1, start, end);
	if (half > start)
		take_pages(zone, pfn, order - 1, start, end);
}
