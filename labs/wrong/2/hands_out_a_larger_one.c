/* SPDX-License-Identifier: MIT */
/*
 * title: nothing is split: all of the block that was found leaves the tree
 * layer: model
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int have = free_map_fitting(map, order);
	unsigned node;

	if (have < 0)
		return FREE_MAP_NONE;
	*had = (unsigned)have;
	node = first_node(map, (unsigned)have);
	free_map_flip(map, node);
	WRITE_ONCE(map->counts, map->counts - free_unit((unsigned)have));
	return (int)((node << have) - PAGEBLOCK_PAGES);
}
