/* SPDX-License-Identifier: MIT */
/*
 * title: an allocation looks at the list of its own order only
 * layer: model
 * file: mm/core/buddy.c
 */

pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type)
{
	pfn_t block = zone->blocks[type][order];
	unsigned have = 0;
	int at;

	if (block == PFN_NONE)
		return PFN_NONE;
	at = free_map_take(&tree_of(zone->mem, block)->map, order, &have);
	buddy_map_changed(zone, block, -(1L << order));
	return block + (pfn_t)at;
}
