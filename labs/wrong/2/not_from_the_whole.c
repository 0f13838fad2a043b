/* SPDX-License-Identifier: MIT */
/*
 * title: the way up to the block that a page lies in ends below the whole pageblock
 * layer: contract
 * file: mm/core/free_map.c
 */

bool free_map_take_at(struct free_map *map, unsigned page, unsigned order)
{
	unsigned have, below;

	for (have = order; have < MAX_ORDER; have++) {
		if (free_map_bit(map, free_node(page, have)))
			break;
	}
	if (have == MAX_ORDER)
		return false;
	free_map_clear(map, page & ~((1U << have) - 1), have);
	for (below = order; below < have; below++)
		free_map_set(map, (page & ~((1U << below) - 1)) ^ 1U << below, below);
	return true;
}
