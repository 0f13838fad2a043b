/* SPDX-License-Identifier: MIT */
/*
 * title: a merge asks if the buddy's first page is free, not if all of it is
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	while (order < MAX_ORDER) {
		unsigned other = page ^ 1U << order;
		int have = free_map_order_at(map, other);

		if (have < 0)
			break;
		free_map_clear(map, other, (unsigned)have);
		page &= other;
		order++;
	}
	free_map_set(map, page, order);
	return order;
}
