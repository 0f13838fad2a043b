/* SPDX-License-Identifier: MIT */
/*
 * title: an allocation takes from the fullest pageblock: small blocks break up large ones
 * layer: model
 * file: mm/core/buddy.c
 */

pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned have = 0, list;
	pfn_t block;
	int at;

	for (list = MAX_ORDER; list > order; list--) {
		if (zone->have[type] >> list & 1)
			break;
	}
	block = zone->blocks[type][list];
	if (block == PFN_NONE)
		return PFN_NONE;
	at = free_map_take(&tree_of(zone->mem, block)->map, order, &have);
	buddy_map_changed(zone, block, -(1L << order));
	return block + (pfn_t)at;
}
