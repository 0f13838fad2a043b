/* SPDX-License-Identifier: MIT */
/*
 * title: the loop over lists ends before the largest order
 * layer: model
 * file: mm/core/buddy.c
 */

pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned have = 0, list;
	pfn_t block;
	int at;

	for (list = order; list < MAX_ORDER; list++) {
		if (zone->blocks[type][list] != PFN_NONE)
			break;
	}
	if (list == MAX_ORDER)
		return PFN_NONE;
	block = zone->blocks[type][list];
	at = free_map_take(&tree_of(zone->mem, block)->map, order, &have);
	buddy_map_changed(zone, block, -(1L << order));
	return block + (pfn_t)at;
}
