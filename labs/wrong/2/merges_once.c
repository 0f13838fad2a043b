/* SPDX-License-Identifier: MIT */
/*
 * title: a freed block merges with its buddy, and then no further
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order);
	u64 counts = map->counts;

	if (node > 1 && free_map_bit(map, node ^ 1)) {
		free_map_flip(map, node ^ 1);
		counts -= free_unit(order);
		order++;
		node /= 2;
	}
	free_map_flip(map, node);
	WRITE_ONCE(map->counts, counts + free_unit(order));
	return order;
}
