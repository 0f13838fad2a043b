/* SPDX-License-Identifier: MIT */
/*
 * name: buddy_by_adding
 * title: the buddy is always the block behind: merges where that is another's buddy
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	while (order < MAX_ORDER) {
		unsigned other = page + (1U << order);

		if (other >= PAGEBLOCK_PAGES || !free_map_bit(map, free_node(other, order)))
			break;
		free_map_clear(map, other, order);
		order++;
	}
	free_map_set(map, page, order);
	return order;
}

/*
 * name: counted_at_every_level
 * title: each step of a merge counts the block that it makes, and uncounts one of the two
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order);

	free_map_flip(map, node);
	WRITE_ONCE(map->counts, map->counts + free_unit(order));
	while (node > 1 && free_map_bit(map, node ^ 1)) {
		free_map_flip(map, node);
		free_map_flip(map, node ^ 1);
		WRITE_ONCE(map->counts, map->counts - free_unit(order));
		node /= 2;
		order++;
		free_map_flip(map, node);
		WRITE_ONCE(map->counts, map->counts + free_unit(order));
	}
	return order;
}

/*
 * name: forgets_what_it_split
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

/*
 * name: hands_out_a_larger_one
 * title: nothing is split: all of the block that was found leaves the tree
 * layer: model
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int have = free_map_fitting(map, order);
	unsigned node;

	if (have < 0)
		return FREE_MAP_NONE;
	*had = (unsigned)have;
	node = first_node(map, (unsigned)have);
	free_map_flip(map, node);
	WRITE_ONCE(map->counts, map->counts - free_unit((unsigned)have));
	return (int)((node << have) - PAGEBLOCK_PAGES);
}

/*
 * name: largest_first
 * title: blocks are cut from the largest free one, not from the smallest that suffices
 * layer: model
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int have = free_map_largest(map);
	u64 counts = map->counts;
	unsigned node;

	if (have < (int)order)
		return FREE_MAP_NONE;
	*had = (unsigned)have;
	node = first_node(map, (unsigned)have);
	free_map_flip(map, node);
	counts -= free_unit((unsigned)have);
	while (have > (int)order) {
		counts += free_unit((unsigned)--have);
		node *= 2;
		free_map_flip(map, node + 1);
	}
	WRITE_ONCE(map->counts, counts);
	return (int)((node << order) - PAGEBLOCK_PAGES);
}

/*
 * name: looks_one_order_up
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

/*
 * name: loses_the_split
 * title: what is split off goes into the tree, and is counted once only
 * layer: model
 * file: mm/core/free_map.c
 */

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int have = free_map_fitting(map, order);
	u64 counts = map->counts;
	unsigned node;

	if (have < 0)
		return FREE_MAP_NONE;
	*had = (unsigned)have;
	node = first_node(map, (unsigned)have);
	free_map_flip(map, node);
	counts -= free_unit((unsigned)have);
	if (have > (int)order)
		counts += free_unit(order);
	while (have > (int)order) {
		have--;
		node *= 2;
		free_map_flip(map, node + 1);
	}
	WRITE_ONCE(map->counts, counts);
	return (int)((node << order) - PAGEBLOCK_PAGES);
}

/*
 * name: merges_free_not_whole
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

/*
 * name: merges_once
 * title: a freed block merges with its buddy, and then no further
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order);
	u64 counts = map->counts;

	if (node > 1 && free_map_bit(map, node ^ 1)) {
		free_map_flip(map, node ^ 1);
		counts -= free_unit(order);
		order++;
		node /= 2;
	}
	free_map_flip(map, node);
	WRITE_ONCE(map->counts, counts + free_unit(order));
	return order;
}

/*
 * name: never_merges
 * title: a freed block never merges with its buddy
 * layer: model
 * file: mm/core/free_map.h
 */

static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	free_map_flip(map, free_node(page, order));
	WRITE_ONCE(map->counts, map->counts + free_unit(order));
	return order;
}

/*
 * name: not_from_the_whole
 * title: the way up to the block that a page lies in ends below the whole pageblock
 * layer: contract
 * file: mm/core/free_map.c
 */

bool free_map_take_at(struct free_map *map, unsigned page, unsigned order)
{
	unsigned have, below;

	for (have = order; have < MAX_ORDER; have++) {
		if (free_map_bit(map, free_node(page, have)))
			break;
	}
	if (have == MAX_ORDER)
		return false;
	free_map_clear(map, page & ~((1U << have) - 1), have);
	for (below = order; below < have; below++)
		free_map_set(map, (page & ~((1U << below) - 1)) ^ 1U << below, below);
	return true;
}

/*
 * name: page_before_buddy
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

/*
 * name: takes_one_too_many
 * title: as many as asked for are counted, and one more is taken
 * layer: model
 * file: mm/core/free_map.c
 */

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = first_node(map, order), end = 2U << (MAX_ORDER - order), nr = 0;
	u64 bits = 0;

	*first = ALIGN_DOWN(node, 64);
	end = MIN(end, *first + 64);
	do {
		if (!free_map_bit(map, node))
			continue;
		free_map_clear(map, (node << order) - PAGEBLOCK_PAGES, order);
		bits |= 1ULL << node % 64;
		nr++;
	} while (++node < end && nr <= max);
	return bits;
}

/*
 * name: word_without_end
 * title: many are taken from a word without regard to where the order ends in it
 * layer: contract
 * file: mm/core/free_map.c
 */

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = first_node(map, order), bit, nr = 0;
	u64 bits = 0;

	*first = ALIGN_DOWN(node, 64);
	for (bit = node % 64; bit < 64 && nr < max; bit++) {
		if (!free_map_bit(map, *first + bit))
			continue;
		free_map_flip(map, *first + bit);
		bits |= 1ULL << bit;
		nr++;
	}
	WRITE_ONCE(map->counts, map->counts - nr * free_unit(order));
	return bits;
}

/*
 * name: wrong_halves
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
