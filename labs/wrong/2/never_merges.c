/* SPDX-License-Identifier: MIT */
/*
 * title: a freed block never merges with its buddy
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
	WRITE_ONCE(map->counts, map->counts + free_unit(order));
	return order;
}
