/* SPDX-License-Identifier: MIT */
/*
 * name: bit_per_pageblock
 * title: each pageblock that leaves a list takes the list's bit with it
 * layer: model
 */

static void unlink_block(struct zone *zone, pfn_t block)
{
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	unsigned type = pageblock_type(pageblock_of(zone->mem, block)), order = tree->list - 1u;

	if (tree->prev == PFN_NONE)
		zone->blocks[type][order] = tree->next;
	else
		tree_of(zone->mem, tree->prev)->next = tree->next;
	if (tree->next != PFN_NONE)
		tree_of(zone->mem, tree->next)->prev = tree->prev;
	zone->have[type] ^= 1u << order;
	tree->list = 0;
}

/*
 * name: counts_into_both
 * title: pages of an area are counted there, and not in the zone
 * layer: model
 */

static void count_in_zone(struct zone *zone, enum migratetype type, long nr)
{
	if (type == MT_CMA)
		WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma + (unsigned long)nr);
	else
		WRITE_ONCE(zone->nr_free, zone->nr_free + (unsigned long)nr);
}

/*
 * name: head_is_never_moved
 * title: the first pageblock of a list leaves its neighbours, and stays the list's first
 * layer: model
 */

static void unlink_block(struct zone *zone, pfn_t block)
{
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	unsigned type = pageblock_type(pageblock_of(zone->mem, block)), order = tree->list - 1u;

	if (tree->prev != PFN_NONE)
		tree_of(zone->mem, tree->prev)->next = tree->next;
	if (tree->next != PFN_NONE)
		tree_of(zone->mem, tree->next)->prev = tree->prev;
	if (tree->prev == PFN_NONE && tree->next == PFN_NONE) {
		zone->blocks[type][order] = (u32)PFN_NONE;
		zone->have[type] &= ~(1u << order);
	}
	tree->list = 0;
}

/*
 * name: list_of_the_whole
 * title: an allocation takes from the fullest pageblock: small blocks break up large ones
 * layer: model
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

/*
 * name: looks_at_one_list
 * title: an allocation looks at the list of its own order only
 * layer: model
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

/*
 * name: off_by_one_order
 * title: the loop over lists ends before the largest order
 * layer: model
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

/*
 * name: report_is_not_forgotten
 * title: the host still takes the pageblock for wholly free
 * layer: contract
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

/*
 * name: unlinks_forward_only
 * title: the next pageblock on the list still points back to the one that has left
 * layer: model
 */

static void unlink_block(struct zone *zone, pfn_t block)
{
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	unsigned type = pageblock_type(pageblock_of(zone->mem, block)), order = tree->list - 1u;

	if (tree->prev == PFN_NONE)
		zone->blocks[type][order] = tree->next;
	else
		tree_of(zone->mem, tree->prev)->next = tree->next;
	if (zone->blocks[type][order] == PFN_NONE)
		zone->have[type] &= ~(1u << order);
	tree->list = 0;
}
