/* SPDX-License-Identifier: MIT */
/*
 * title: a freed block is noted first; then pairs are joined, recursively
 * file: mm/core/free_map.h
 */

static inline void change(struct free_map *map, unsigned node, bool free)
{
	u64 unit = free_unit(MAX_ORDER - highest_bit(node));

	free_map_flip(map, node);
	WRITE_ONCE(map->counts, free ? map->counts + unit : map->counts - unit);
}

static inline unsigned join(struct free_map *map, unsigned node)
{
	if (node == 1 || !free_map_bit(map, node ^ 1))
		return MAX_ORDER - highest_bit(node);
	change(map, node, false);
	change(map, node ^ 1, false);
	change(map, node / 2, true);
	return join(map, node / 2);
}

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	change(map, free_node(page, order), true);
	return join(map, free_node(page, order));
}
