/* SPDX-License-Identifier: MIT */
/*
 * title: a free block that reaches into the range is taken as a whole
 * layer: model
 * file: mm/core/buddy_range.c
 */

static void take_pages(struct zone *zone, pfn_t pfn, unsigned order, pfn_t start, pfn_t end)
{
	struct page *page = pfn_to_page_in(zone->mem, pfn);
	unsigned i;

	for (i = 0; i < 1U << order; i++)
		page_store(page + i, AS_TAIL, AS_ALLOC(0));
}
