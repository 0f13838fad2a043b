/* SPDX-License-Identifier: MIT */
/*
 * name: never_merges
 * title: fast, since a freed block does not merge with its buddy
 * layer: contract
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
	WRITE_ONCE(map->counts, map->counts + free_unit(order));
	return order;
}
