/* SPDX-License-Identifier: MIT */
/*
 * title: the tree is searched bit by bit, order by order
 * file: mm/core/free_map.c
 */

static unsigned first_node(const struct free_map *map, unsigned order)
{
	unsigned node = 1U << (MAX_ORDER - order);

	while (!free_map_bit(map, node))
		node++;
	return node;
}

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	unsigned have = order, page;

	while (have <= MAX_ORDER && !free_map_count(map, have))
		have++;
	if (have > MAX_ORDER)
		return FREE_MAP_NONE;
	*had = have;
	page = free_map_first(map, have);
	free_map_clear(map, page, have);
	while (have-- > order)
		free_map_set(map, page + (1U << have), have);
	return (int)page;
}

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = first_node(map, order), end = ALIGN_DOWN(node, 64) + 64, nr = 0;
	u64 bits = 0;

	*first = ALIGN_DOWN(node, 64);
	end = MIN(end, 2U << (MAX_ORDER - order));
	for (; node < end && nr < max; node++) {
		if (!free_map_bit(map, node))
			continue;
		free_map_clear(map, (node << order) - (unsigned)PAGEBLOCK_PAGES, order);
		bits |= 1ULL << node % 64;
		nr++;
	}
	return bits;
}
