/* SPDX-License-Identifier: MIT */
/*
 * title: the next pageblock on the list still points back to the one that has left
 * layer: model
 * file: mm/core/buddy.c
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
