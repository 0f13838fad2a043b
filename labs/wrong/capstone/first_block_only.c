/* SPDX-License-Identifier: MIT */
/*
 * title: the free block that the range begins in is cut, and none behind it
 * layer: model
 * file: mm/core/buddy_range.c
 */

void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end)
{
	pfn_t pfn = page_head(zone->mem, start);
	unsigned order = (unsigned)free_order_at(zone->mem, pfn);

	ASSERT_ZONE_LOCKED(zone);
	buddy_list_del(zone, pfn, order);
	take_pages(zone, pfn, order, start, end);
}
