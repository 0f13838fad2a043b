/* SPDX-License-Identifier: MIT */
/*
 * title: a page counts as free if any block above it has something free
 * layer: contract
 * file: mm/core/free_map.c
 */

int free_map_order_at(const struct free_map *map, unsigned page)
{
	unsigned order;

	for (order = 0; order < MAX_ORDER; order++) {
		if (free_map_bit(map, free_node(page, order)) ||
		    free_map_bit(map, free_node(page, order) ^ 1))
			return (int)order;
	}
	return free_map_bit(map, 1) ? MAX_ORDER : FREE_MAP_NONE;
}
