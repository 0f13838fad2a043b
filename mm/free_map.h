/* SPDX-License-Identifier: MIT */
/*
 * free_map.h: the buddy allocator of one pageblock: which of its blocks are free, as a tree of bits
 * (free_map.c).
 *
 * Think of the pageblock as a binary tree.  Node 1 is the whole of it; the halves of node n are the
 * nodes 2n and 2n + 1; the leaves are its pages.  For a pageblock of 8 pages:
 *
 *      order 3                  1
 *      order 2          2               3
 *      order 1      4       5       6       7
 *      order 0    8   9  10  11  12  13  14  15
 *      page       0   1   2   3   4   5   6   7
 *
 * So of node n the buddy is n ^ 1 and the parent n / 2, and the block of order k at page p is node
 * (PAGEBLOCK_PAGES + p) >> k.  A bit is set where that block is free as one.  Then no bit above or
 * below it is set, and that of its buddy is not: both would be their parent's.
 *
 * Free blocks are also counted by order, all the counts in one word.  Of depth d, which is order
 * MAX_ORDER - d, at most 2^(d - 1) are free at once, because of two buddies at most one is: d bits.
 * The fields of larger orders are lower.  So the lowest bit set in the word says the largest free
 * order, and the highest one below a border the smallest order that suffices: no loop over orders.
 *
 *      bit     0 | 1 | 2 3 | 4 5 6 | 7 8 9 10 | ...
 *      depth   0 | 1 |  2  |   3   |    4     | ...
 *
 * All of it is plain data: no pages, no zones, no locks.  Its user holds the lock that protects it.
 */
#ifndef QUARRY_MM_FREE_MAP_H
#define QUARRY_MM_FREE_MAP_H

#include <quarry/mm_types.h>

/* No such order, or no such page. */
#define FREE_MAP_NONE (-1)

/* The first bit, and the number of bits, of the count of the blocks at @depth. */
#define FREE_COUNT_AT(depth)    ((depth) ? 1 + (depth) * ((depth)-1) / 2 : 0)
#define FREE_COUNT_WIDTH(depth) ((depth) ? (depth) : 1)
BUILD_ASSERT(FREE_COUNT_AT(MAX_ORDER) + FREE_COUNT_WIDTH(MAX_ORDER) < 64);
/* One block as added to the counts, by depth; that of the depth below all is above them. */
#define MAX_DEPTHS 12
extern const u64 free_count_unit[MAX_DEPTHS];
BUILD_ASSERT(NR_ORDERS < MAX_DEPTHS);
/* And one block of that depth and of each above it. */
extern const u64 free_count_units[MAX_DEPTHS];
/*
 * For each bit of the counts: the depth to whose count it belongs; the same for all pageblock
 * sizes.
 */
extern const u8 free_count_depth[64];

static always_inline unsigned free_node(unsigned page, unsigned order)
{
	return (unsigned)(PAGEBLOCK_PAGES + page) >> order;
}

/* One block of @order, as added to the counts. */
static always_inline u64 free_unit(unsigned order)
{
	return free_count_unit[MAX_ORDER - order];
}

/* One block of each of the orders [@order, @end), as added to the counts. */
static always_inline u64 free_units(unsigned order, unsigned end)
{
	return free_count_units[MAX_ORDER - order] - free_count_units[MAX_ORDER - end];
}

/* Without the lock: as it was at some moment. */
static always_inline bool free_map_bit(const struct free_map *map, unsigned node)
{
	return READ_ONCE(map->bit[node / 64]) >> node % 64 & 1;
}

static always_inline void free_map_flip(struct free_map *map, unsigned node)
{
	arch_bit_flip(map->bit, node);
}

/* Is that bit set?  Then it is no longer. */
static always_inline bool free_map_unset(struct free_map *map, unsigned node)
{
	bool was;

	arch_bit_clear(map->bit, node, was);
	return was;
}

/* Free blocks of @order.  Any context: without the lock, as it was at some moment. */
static inline unsigned free_map_count(const struct free_map *map, unsigned order)
{
	unsigned depth = MAX_ORDER - order;

	return (unsigned)(READ_ONCE(map->counts) >> FREE_COUNT_AT(depth) &
	    ((1ULL << FREE_COUNT_WIDTH(depth)) - 1));
}

/* The order of the largest free block; FREE_MAP_NONE: nothing is free.  As free_map_count. */
static inline int free_map_largest(const struct free_map *map)
{
	u64 counts = READ_ONCE(map->counts);

	return counts ? MAX_ORDER - free_count_depth[lowest_bit(counts)] : FREE_MAP_NONE;
}

/* The order of the smallest free block of @order or more; or FREE_MAP_NONE.  As free_map_count. */
static inline int free_map_fitting(const struct free_map *map, unsigned order)
{
	/* Smaller orders have their counts above, from the unit of the next depth on. */
	u64 counts = READ_ONCE(map->counts) & (free_count_unit[MAX_ORDER - order + 1] - 1);

	return counts ? MAX_ORDER - free_count_depth[highest_bit(counts)] : FREE_MAP_NONE;
}

/* The first page of the first free block of @order, of which there is one. */
unsigned free_map_first(const struct free_map *map, unsigned order);
/* The order of the free block that page @page (of the pageblock) lies in; or FREE_MAP_NONE. */
int free_map_order_at(const struct free_map *map, unsigned page);
/* The order of the free block that begins at page @page; or FREE_MAP_NONE.  As free_map_count. */
int free_map_begins_at(const struct free_map *map, unsigned page);
/*
 * Note that the block of @order at @page, of which nothing was free, is free, or is no longer:
 * nothing merges and nothing splits.
 */
void free_map_set(struct free_map *map, unsigned page, unsigned order);
void free_map_clear(struct free_map *map, unsigned page, unsigned order);

/* All of the pageblock is one free block, or was one and nothing is free: two stores. */
static always_inline void free_map_store_whole(struct free_map *map, bool whole)
{
	CHECKED_ASSERT(map->counts == (whole ? 0 : free_unit(MAX_ORDER)));
	WRITE_ONCE(map->bit[0], whole ? 1ULL << 1 : 0);
	WRITE_ONCE(map->counts, whole ? 1 : 0);
}

/* Free that block, and merge it as long as its buddy is free; returns the order it has become. */
static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order), whole;

	CHECKED_ASSERT(!(page & ((1U << order) - 1)) && free_map_order_at(map, page) < 0);
	/* The whole pageblock is node 1, whose buddy would be bit 0, which nobody sets. */
	while (free_map_unset(map, node ^ 1))
		node /= 2;
	free_map_flip(map, node);
	whole = MAX_ORDER - highest_bit(node);
	WRITE_ONCE(map->counts, map->counts + free_unit(whole) - free_units(order, whole));
	return whole;
}

/*
 * Take a block of @order: the first pages of one of the smallest free blocks that suffice, whose
 * order is *@had.  The rest of that block stays free.  Returns its page, or FREE_MAP_NONE.
 */
int free_map_take(struct free_map *map, unsigned order, unsigned *had);
/*
 * Take up to @max free blocks of @order, at least one of which exists: as many as one word of the
 * tree names.  Returns their bits in that word, whose first bit is node *@first.
 */
u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first);
/* Take that very block out of the free one that it lies in; false: it does not lie in one. */
bool free_map_take_at(struct free_map *map, unsigned page, unsigned order);
/* Recount: are the counts those of the bits, and is every page in at most one free block? */
bool free_map_ok(const struct free_map *map);

#endif
