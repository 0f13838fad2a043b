/* SPDX-License-Identifier: MIT */
/*
 * title: blocks are cut from the largest free one, not from the smallest that suffices
 * layer: model
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int have = free_map_largest(map);
	u64 counts = map->counts;
	unsigned node;

	if (have < (int)order)
		return FREE_MAP_NONE;
	*had = (unsigned)have;
	node = first_node(map, (unsigned)have);
	free_map_flip(map, node);
	counts -= free_unit((unsigned)have);
	while (have > (int)order) {
		counts += free_unit((unsigned)--have);
		node *= 2;
		free_map_flip(map, node + 1);
	}
	WRITE_ONCE(map->counts, counts);
	return (int)((node << order) - PAGEBLOCK_PAGES);
}
