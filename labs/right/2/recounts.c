/* SPDX-License-Identifier: MIT */
/*
 * title: counts are computed from the bits after each change; the last fitting block is taken
 * file: mm/core/free_map.c
 */

static void recount(struct free_map *map)
{
	u64 counts = 0;
	unsigned node;

	for (node = 1; node < 2 * PAGEBLOCK_PAGES; node++) {
		if (free_map_bit(map, node))
			counts += free_unit(MAX_ORDER - highest_bit(node));
	}
	WRITE_ONCE(map->counts, counts);
}

void free_map_set(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
	recount(map);
}

void free_map_clear(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
	recount(map);
}

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	unsigned have, node;

	for (have = order; have <= MAX_ORDER; have++) {
		unsigned first = 1U << (MAX_ORDER - have);

		for (node = 2 * first - 1; node >= first; node--) {
			if (!free_map_bit(map, node))
				continue;
			*had = have;
			free_map_flip(map, node);
			for (; have > order; have--) {
				node *= 2;
				free_map_flip(map, node + 1);
			}
			recount(map);
			return (int)((node << order) - PAGEBLOCK_PAGES);
		}
	}
	return FREE_MAP_NONE;
}
