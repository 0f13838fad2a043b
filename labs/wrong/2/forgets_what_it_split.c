/* SPDX-License-Identifier: MIT */
/*
 * title: a recursive take says that the block was of the next order, however far up it was found
 * layer: contract
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int page;

	if (order > MAX_ORDER)
		return FREE_MAP_NONE;
	if (free_map_count(map, order)) {
		*had = order;
		page = (int)free_map_first(map, order);
		free_map_clear(map, (unsigned)page, order);
		return page;
	}
	page = free_map_take(map, order + 1, had);
	if (page == FREE_MAP_NONE)
		return FREE_MAP_NONE;
	*had = order + 1;
	free_map_set(map, (unsigned)page + (1U << order), order);
	return page;
}
