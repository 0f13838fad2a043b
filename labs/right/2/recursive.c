/* SPDX-License-Identifier: MIT */
/*
 * title: takes split, and given blocks are found, by recursion from the top
 * file: mm/core/free_map.c
 */

/* Split the free block of order @have at @page down to @order; the lower half is split further. */
static unsigned split(struct free_map *map, unsigned page, unsigned have, unsigned order)
{
	if (have == order)
		return page;
	have--;
	free_map_set(map, page + (1U << have), have);
	return split(map, page, have, order);
}

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	unsigned have = order, page;

	while (have <= MAX_ORDER && !free_map_count(map, have))
		have++;
	if (have > MAX_ORDER)
		return FREE_MAP_NONE;
	*had = have;
	page = free_map_first(map, have);
	free_map_clear(map, page, have);
	return (int)split(map, page, have, order);
}

/* Take the block of order @order at @page out of the free block of order @have at @head. */
static void cut(struct free_map *map, unsigned head, unsigned have, unsigned page, unsigned order)
{
	unsigned half = head + (1U << have) / 2;

	if (have == order)
		return;
	have--;
	free_map_set(map, page < half ? half : head, have);
	cut(map, page < half ? head : half, have, page, order);
}

bool free_map_take_at(struct free_map *map, unsigned page, unsigned order)
{
	int have = free_map_order_at(map, page);
	unsigned head;

	if (have < (int)order)
		return false;
	head = ALIGN_DOWN(page, 1U << have);
	free_map_clear(map, head, (unsigned)have);
	cut(map, head, (unsigned)have, page, order);
	return true;
}
