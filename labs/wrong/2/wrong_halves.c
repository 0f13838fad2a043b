/* SPDX-License-Identifier: MIT */
/*
 * title: taking a given block leaves the half free that it lies in
 * layer: contract
 * file: mm/core/free_map.c
 */

bool free_map_take_at(struct free_map *map, unsigned page, unsigned order)
{
	int have = free_map_order_at(map, page);

	if (have < (int)order)
		return false;
	free_map_clear(map, page & ~((1U << have) - 1), (unsigned)have);
	while (have > (int)order) {
		have--;
		free_map_set(map, page & ~((1U << have) - 1), (unsigned)have);
	}
	return true;
}
