/* SPDX-License-Identifier: MIT */
/*
 * title: many are taken from the end of the order, the highest first
 * file: mm/core/free_map.c
 */

static unsigned last_node(const struct free_map *map, unsigned order)
{
	unsigned node = (2U << (MAX_ORDER - order)) - 1;

	while (!free_map_bit(map, node))
		node--;
	return node;
}

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = last_node(map, order), begin = 1U << (MAX_ORDER - order), nr = 0;
	u64 bits = 0;

	*first = ALIGN_DOWN(node, 64);
	begin = MAX(begin, *first);
	for (; node >= begin && nr < max; node--) {
		if (!free_map_bit(map, node))
			continue;
		free_map_clear(map, (node << order) - (unsigned)PAGEBLOCK_PAGES, order);
		bits |= 1ULL << node % 64;
		nr++;
	}
	return bits;
}
