/* SPDX-License-Identifier: MIT */
/*
 * free_map.c: the buddy allocator of one pageblock: split and merge in a tree of bits.
 *
 * Owns:       struct free_map, together with free_map.h.
 * Locks:      none of its own: callers hold the lock that protects the map.
 * Invariants: free_map_ok.
 * Tests:      free_map, buddy_batch.
 */
#include "mm/core/free_map.h"

const u8 free_count_depth[64] = {0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6,
    7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 10, 10, 10, 10, 10, 10,
    10, 10, 10, 10};

const u64 free_count_unit[MAX_DEPTHS] = {1, 1 << 1, 1 << 2, 1 << 4, 1 << 7, 1 << 11, 1 << 16,
    1 << 22, 1 << 29, 1ULL << 37, 1ULL << 46, 1ULL << 56};

const u64 free_count_units[MAX_DEPTHS] = {0x1, 0x3, 0x7, 0x17, 0x97, 0x897, 0x10897, 0x410897,
    0x20410897, 0x2020410897, 0x402020410897, 0x100402020410897};

/* The node of the first free block of @order, which must exist. */
static unsigned first_node(const struct free_map *map, unsigned order)
{
	unsigned node = 1U << (MAX_ORDER - order), word = node / 64;
	u64 bits = map->bit[word] & ~0ULL << node % 64;

	while (!bits)
		bits = map->bit[++word];
	return word * 64 + lowest_bit(bits);
}

unsigned free_map_first(const struct free_map *map, unsigned order)
{
	return (first_node(map, order) << order) - (unsigned)PAGEBLOCK_PAGES;
}

int free_map_order_at(const struct free_map *map, unsigned page)
{
	int order;

	for (order = 0; order <= MAX_ORDER; order++)
		if (free_map_bit(map, free_node(page, (unsigned)order)))
			return order;
	return FREE_MAP_NONE;
}

int free_map_begins_at(const struct free_map *map, unsigned page)
{
	unsigned node = free_node(page, 0);
	int order;

	for (order = 0; !free_map_bit(map, node); order++, node /= 2) {
		/* Each larger block that contains an upper half begins before @page. */
		if (node & 1)
			return FREE_MAP_NONE;
	}
	return order;
}

void free_map_set(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order);

	CHECKED_ASSERT(!free_map_bit(map, node) && (node == 1 || !free_map_bit(map, node ^ 1)));
	free_map_flip(map, node);
	WRITE_ONCE(map->counts, map->counts + free_unit(order));
}

void free_map_clear(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order);

	CHECKED_ASSERT(free_map_bit(map, node));
	free_map_flip(map, node);
	WRITE_ONCE(map->counts, map->counts - free_unit(order));
}

int free_map_take(struct free_map *map, unsigned order, unsigned *had)
{
	int fits = free_map_fitting(map, order);
	unsigned node, word, have = (unsigned)fits;
	u64 bits;

	if (fits < 0)
		return FREE_MAP_NONE;
	*had = have;
	node = first_node(map, have);
	word = node / 64;
	bits = map->bit[word] ^ 1ULL << node % 64;
	/* The lower half is split further; the upper half stays free. */
	for (; have > order; have--) {
		node *= 2;
		if (node / 64 != word) {
			WRITE_ONCE(map->bit[word], bits);
			word = node / 64;
			bits = map->bit[word];
		}
		bits |= 1ULL << (node + 1) % 64;
	}
	WRITE_ONCE(map->bit[word], bits);
	WRITE_ONCE(map->counts, map->counts - free_unit(*had) + free_units(order, *had));
	return (int)((node << order) - PAGEBLOCK_PAGES);
}

u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first)
{
	unsigned node = first_node(map, order), end = 2U << (MAX_ORDER - order), nr = 0;
	u64 *word = &map->bit[node / 64], bits = *word & ~0ULL << node % 64, left;

	CHECKED_ASSERT(max > 0);
	/* The first word has nodes of several orders: ignore nodes of smaller orders. */
	if (end < 64)
		bits &= (1ULL << end) - 1;
	for (left = bits; left && nr < max; nr++)
		left &= left - 1;
	bits ^= left;
	WRITE_ONCE(*word, *word ^ bits);
	WRITE_ONCE(map->counts, map->counts - nr * free_unit(order));
	*first = ALIGN_DOWN(node, 64);
	return bits;
}

bool free_map_take_at(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order), above = node, have;

	/* Go up to the free block that contains this one. */
	while (above > 0 && !free_map_bit(map, above))
		above /= 2;
	if (!above)
		return false;
	have = MAX_ORDER - highest_bit(above);
	free_map_flip(map, above);
	WRITE_ONCE(map->counts, map->counts - free_unit(have) + free_units(order, have));
	/* Go down again: of each pair of halves, the half that is not taken stays free. */
	for (; node > above; node /= 2)
		free_map_flip(map, node ^ 1);
	return true;
}

bool free_map_ok(const struct free_map *map)
{
	unsigned word, node, above;
	u64 counts = 0, bits;

	for (word = 0; word < ARRAY_SIZE(map->bit); word++) {
		for (bits = map->bit[word]; bits; bits &= bits - 1) {
			node = word * 64 + lowest_bit(bits);
			if (node == 0 || (node > 1 && free_map_bit(map, node ^ 1)))
				return false;
			counts += free_unit(MAX_ORDER - highest_bit(node));
			for (above = node / 2; above; above /= 2)
				if (free_map_bit(map, above))
					return false;
		}
	}
	return counts == map->counts;
}
