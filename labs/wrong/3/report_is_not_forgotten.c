/* SPDX-License-Identifier: MIT */
/*
 * title: the host still takes the pageblock for wholly free
 * layer: contract
 * file: mm/core/buddy.c
 */

pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned lists = zone->have[type] >> order << order, have = 0;
	struct pageblock_tree *tree;
	struct pageblock *pb;
	pfn_t block;
	int at;

	if (!lists)
		return PFN_NONE;
	block = zone->blocks[type][lowest_bit(lists)];
	tree = tree_of(zone->mem, block);
	pb = pageblock_of(zone->mem, block);
	at = free_map_take(&tree->map, order, &have);
	block_set_free(pb, (u16)(pb->nr_free - (1U << order)));
	count_in_zone(zone, type, -(1L << order));
	relist(zone, block);
	return block + (pfn_t)at;
}
