/* SPDX-License-Identifier: MIT */
/*
 * title: the head moves down before the buddy's bit is cleared: it is then always the upper one
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	u64 counts = map->counts;

	while (order < MAX_ORDER && free_map_bit(map, free_node(page ^ 1U << order, order))) {
		page &= ~(1U << order);
		free_map_flip(map, free_node(page ^ 1U << order, order));
		counts -= free_unit(order);
		order++;
	}
	free_map_flip(map, free_node(page, order));
	WRITE_ONCE(map->counts, counts + free_unit(order));
	return order;
}
