/* SPDX-License-Identifier: MIT */
/*
 * title: a pageblock joins its list at the end; an allocation takes the last one of the list
 * file: mm/core/buddy.c
 */

static pfn_t last_of(const struct zone *zone, unsigned type, unsigned order)
{
	pfn_t block = zone->blocks[type][order];

	while (block != PFN_NONE && tree_of(zone->mem, block)->next != PFN_NONE)
		block = tree_of(zone->mem, block)->next;
	return block;
}

static void link_block(struct zone *zone, pfn_t block, unsigned order)
{
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	unsigned type = pageblock_type(pageblock_of(zone->mem, block));
	pfn_t last = last_of(zone, type, order);

	tree->prev = (u32)last;
	tree->next = (u32)PFN_NONE;
	if (last == PFN_NONE)
		zone->blocks[type][order] = (u32)block;
	else
		tree_of(zone->mem, last)->next = (u32)block;
	zone->have[type] |= 1u << order;
	tree->list = (u8)(order + 1);
}

pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned list = order, have = 0;
	pfn_t block;
	int at;

	while (list <= MAX_ORDER && zone->blocks[type][list] == PFN_NONE)
		list++;
	if (list > MAX_ORDER)
		return PFN_NONE;
	block = last_of(zone, type, list);
	at = free_map_take(&tree_of(zone->mem, block)->map, order, &have);
	buddy_map_changed(zone, block, -(1L << order));
	return block + (pfn_t)at;
}
