/* SPDX-License-Identifier: MIT */
/*
 * name: by_loops
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

/*
 * name: last_word
 * title: many are taken from the end of the order, the highest first
 * file: mm/core/free_map.c
 */

static unsigned last_node(const struct free_map *map, unsigned order)
{
	unsigned node = (2U << (MAX_ORDER - order)) - 1;

	while (!free_map_bit(map, node))
		node--;
	return node;
}

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = last_node(map, order), begin = 1U << (MAX_ORDER - order), nr = 0;
	u64 bits = 0;

	*first = ALIGN_DOWN(node, 64);
	begin = MAX(begin, *first);
	for (; node >= begin && nr < max; node--) {
		if (!free_map_bit(map, node))
			continue;
		free_map_clear(map, (node << order) - (unsigned)PAGEBLOCK_PAGES, order);
		bits |= 1ULL << node % 64;
		nr++;
	}
	return bits;
}

/*
 * name: recounts
 * title: counts are computed from the bits after each change; the last fitting block is taken
 * file: mm/core/free_map.c
 */

static void recount(struct free_map *map)
{
	u64 counts = 0;
	unsigned node;

	for (node = 1; node < 2 * PAGEBLOCK_PAGES; node++) {
		if (free_map_bit(map, node))
			counts += free_unit(MAX_ORDER - highest_bit(node));
	}
	WRITE_ONCE(map->counts, counts);
}

void free_map_set(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
	recount(map);
}

void free_map_clear(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
	recount(map);
}

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	unsigned have, node;

	for (have = order; have <= MAX_ORDER; have++) {
		unsigned first = 1U << (MAX_ORDER - have);

		for (node = 2 * first - 1; node >= first; node--) {
			if (!free_map_bit(map, node))
				continue;
			*had = have;
			free_map_flip(map, node);
			for (; have > order; have--) {
				node *= 2;
				free_map_flip(map, node + 1);
			}
			recount(map);
			return (int)((node << order) - PAGEBLOCK_PAGES);
		}
	}
	return FREE_MAP_NONE;
}

/*
 * name: recursive
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

/*
 * name: sets_then_merges
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
