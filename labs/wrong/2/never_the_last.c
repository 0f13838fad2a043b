/* SPDX-License-Identifier: MIT */
/*
 * title: the search for a free block of an order ends before the last of them
 * layer: model
 * file: mm/core/free_map.c
 */

static unsigned first_node(const struct free_map *map, unsigned order)
{
	unsigned first = 1U << (MAX_ORDER - order), node;

	for (node = first; node < 2 * first - 2; node++) {
		if (free_map_bit(map, node))
			return node;
	}
	return first;
}
