/* SPDX-License-Identifier: MIT */
/*
 * title: what is split off goes into the tree, and is counted once only
 * layer: model
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int have = free_map_fitting(map, order);
	u64 counts = map->counts;
	unsigned node;

	if (have < 0)
		return FREE_MAP_NONE;
	*had = (unsigned)have;
	node = first_node(map, (unsigned)have);
	free_map_flip(map, node);
	counts -= free_unit((unsigned)have);
	if (have > (int)order)
		counts += free_unit(order);
	while (have > (int)order) {
		have--;
		node *= 2;
		free_map_flip(map, node + 1);
	}
	WRITE_ONCE(map->counts, counts);
	return (int)((node << order) - PAGEBLOCK_PAGES);
}
