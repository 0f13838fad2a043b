/* SPDX-License-Identifier: MIT */
/*
 * title: as many as asked for are counted, and one more is taken
 * layer: model
 * file: mm/core/free_map.c
 */

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = first_node(map, order), end = 2U << (MAX_ORDER - order), nr = 0;
	u64 bits = 0;

	*first = ALIGN_DOWN(node, 64);
	end = MIN(end, *first + 64);
	do {
		if (!free_map_bit(map, node))
			continue;
		free_map_clear(map, (node << order) - PAGEBLOCK_PAGES, order);
		bits |= 1ULL << node % 64;
		nr++;
	} while (++node < end && nr <= max);
	return bits;
}
