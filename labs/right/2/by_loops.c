/* SPDX-License-Identifier: MIT */
/*
 * title: loops over orders and pages instead of counts that answer at once
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	unsigned have, page;

	for (have = order; have <= MAX_ORDER; have++) {
		for (page = 0; page < PAGEBLOCK_PAGES; page += 1U << have) {
			if (free_map_bit(map, free_node(page, have)))
				goto found;
		}
	}
	return FREE_MAP_NONE;
found:
	*had = have;
	free_map_clear(map, page, have);
	while (have > order) {
		have--;
		free_map_set(map, page + (1U << have), have);
	}
	return (int)page;
}

bool free_map_take_at(struct free_map *map, unsigned page, unsigned order)
{
	int have = free_map_order_at(map, page);
	unsigned head;

	if (have < (int)order)
		return false;
	head = page & ~((1U << have) - 1);
	free_map_clear(map, head, (unsigned)have);
	while (have > (int)order) {
		have--;
		if (page & 1U << have) {
			free_map_set(map, head, (unsigned)have);
			head += 1U << have;
		} else {
			free_map_set(map, head + (1U << have), (unsigned)have);
		}
	}
	return true;
}
