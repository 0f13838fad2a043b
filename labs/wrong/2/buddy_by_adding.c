/* SPDX-License-Identifier: MIT */
/*
 * title: the buddy is always the block behind: merges where that is another's buddy
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	while (order < MAX_ORDER) {
		unsigned other = page + (1U << order);

		if (other >= PAGEBLOCK_PAGES || !free_map_bit(map, free_node(other, order)))
			break;
		free_map_clear(map, other, order);
		order++;
	}
	free_map_set(map, page, order);
	return order;
}
