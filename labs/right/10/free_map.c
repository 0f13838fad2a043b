/* SPDX-License-Identifier: MIT */
/*
 * name: splits_by_flips
 * title: a split stores each bit, and counts once; the first word is a case of its own
 * file: mm/core/free_map.c
 */

static unsigned first_node(const struct free_map *map, unsigned order)
{
	unsigned node = 1U << (MAX_ORDER - order), word;
	u64 bits;

	if (node < 64) {
		bits = map->bit[0] >> node << node;
		if (bits)
			return lowest_bit(bits);
	}
	for (word = MAX(node / 64, 1u); !map->bit[word]; word++)
		;
	return word * 64 + lowest_bit(map->bit[word]);
}

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int fits = free_map_fitting(map, order);
	unsigned node, have = (unsigned)fits;

	if (fits < 0)
		return FREE_MAP_NONE;
	*had = have;
	node = first_node(map, have);
	free_map_flip(map, node);
	for (; have > order; have--) {
		node *= 2;
		free_map_flip(map, node + 1);
	}
	WRITE_ONCE(map->counts, map->counts - free_unit(*had) + free_units(order, *had));
	return (int)((node << order) - PAGEBLOCK_PAGES);
}
