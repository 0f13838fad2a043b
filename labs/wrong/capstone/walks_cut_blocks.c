/* SPDX-License-Identifier: MIT */
/*
 * title: the next block is looked for by the tree, which the cut has changed
 * layer: model
 * file: mm/core/buddy_range.c
 */

void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end)
{
	pfn_t pfn = page_head(zone->mem, start);

	ASSERT_ZONE_LOCKED(zone);
	while (pfn < end) {
		unsigned order = (unsigned)free_order_at(zone->mem, pfn);

		buddy_list_del(zone, pfn, order);
		take_pages(zone, pfn, order, start, end);
		pfn += 1UL << MAX(free_order_at(zone->mem, pfn), 0);
	}
}
