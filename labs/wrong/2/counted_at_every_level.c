/* SPDX-License-Identifier: MIT */
/*
 * title: each step of a merge counts the block that it makes, and uncounts one of the two
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order);

	free_map_flip(map, node);
	WRITE_ONCE(map->counts, map->counts + free_unit(order));
	while (node > 1 && free_map_bit(map, node ^ 1)) {
		free_map_flip(map, node);
		free_map_flip(map, node ^ 1);
		WRITE_ONCE(map->counts, map->counts - free_unit(order));
		node /= 2;
		order++;
		free_map_flip(map, node);
		WRITE_ONCE(map->counts, map->counts + free_unit(order));
	}
	return order;
}
