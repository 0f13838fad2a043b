/* SPDX-License-Identifier: MIT */
/*
 * title: the first pageblock of a list leaves its neighbours, and stays the list's first
 * layer: model
 * file: mm/core/buddy.c
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
