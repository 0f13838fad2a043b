/* SPDX-License-Identifier: MIT */
/*
 * name: at_the_end
 * title: a pageblock joins its list at the end; an allocation takes the last one of the list
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

/*
 * name: recomputes
 * title: whether a list has any is computed for all orders after each change; counts are recounted
 */

static void look_again(struct zone *zone, unsigned type)
{
	unsigned order, have = 0;

	for (order = 0; order <= MAX_ORDER; order++)
		have += (zone->blocks[type][order] != PFN_NONE) * (1u << order);
	zone->have[type] = have;
}

static void unlink_block(struct zone *zone, pfn_t block)
{
	struct pageblock_tree *tree = tree_of(zone->mem, block), *other;
	unsigned type = pageblock_type(pageblock_of(zone->mem, block));

	if (zone->blocks[type][tree->list - 1] == block)
		zone->blocks[type][tree->list - 1] = tree->next;
	if (tree->prev != PFN_NONE) {
		other = tree_of(zone->mem, tree->prev);
		other->next = tree->next;
	}
	if (tree->next != PFN_NONE) {
		other = tree_of(zone->mem, tree->next);
		other->prev = tree->prev;
	}
	tree->prev = tree->next = (u32)PFN_NONE;
	tree->list = 0;
	look_again(zone, type);
}

static void link_block(struct zone *zone, pfn_t block, unsigned order)
{
	struct pageblock_tree *tree = tree_of(zone->mem, block);
	unsigned type = pageblock_type(pageblock_of(zone->mem, block));

	tree->list = (u8)(order + 1);
	tree->prev = (u32)PFN_NONE;
	tree->next = zone->blocks[type][order];
	zone->blocks[type][order] = (u32)block;
	if (tree->next != PFN_NONE)
		tree_of(zone->mem, tree->next)->prev = (u32)block;
	look_again(zone, type);
}

static void count_in_zone(struct zone *zone, enum migratetype type, long nr)
{
	unsigned long free = zone->nr_free;

	for (; nr > 0; nr--)
		free++;
	for (; nr < 0; nr++)
		free--;
	if (type == MT_CMA)
		WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma + free - zone->nr_free);
	WRITE_ONCE(zone->nr_free, free);
}
