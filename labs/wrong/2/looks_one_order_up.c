/* SPDX-License-Identifier: MIT */
/*
 * title: where there is no block of the order, only the next larger one is split
 * layer: model
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	unsigned page;

	if (free_map_count(map, order)) {
		*had = order;
		page = free_map_first(map, order);
		free_map_clear(map, page, order);
		return (int)page;
	}
	if (order < MAX_ORDER && free_map_count(map, order + 1)) {
		*had = order + 1;
		page = free_map_first(map, order + 1);
		free_map_clear(map, page, order + 1);
		free_map_set(map, page + (1U << order), order);
		return (int)page;
	}
	return FREE_MAP_NONE;
}
