/* SPDX-License-Identifier: MIT */
/*
 * name: first_block_only
 * title: the free block that the range begins in is cut, and none behind it
 * layer: model
 */

void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end)
{
	pfn_t pfn = page_head(zone->mem, start);
	unsigned order = (unsigned)free_order_at(zone->mem, pfn);

	ASSERT_ZONE_LOCKED(zone);
	buddy_list_del(zone, pfn, order);
	take_pages(zone, pfn, order, start, end);
}

/*
 * name: keeps_one_half
 * title: of a block on the border only the half that lies in the range is cut further
 * layer: model
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

/*
 * name: takes_whole_blocks
 * title: a free block that reaches into the range is taken as a whole
 * layer: model
 */

static void take_pages(struct zone *zone, pfn_t pfn, unsigned order, pfn_t start, pfn_t end)
{
	struct page *page = pfn_to_page_in(zone->mem, pfn);
	unsigned i;

	for (i = 0; i < 1U << order; i++)
		page_store(page + i, AS_TAIL, AS_ALLOC(0));
}
