/* SPDX-License-Identifier: MIT */
/*
 * free_map.h: the buddy allocator of one pageblock, a tree of bits that shows its free blocks
 * (free_map.c).
 *
 * The pageblock is a binary tree.  Node 1 is the whole pageblock; the halves of node n are nodes 2n
 * and 2n + 1; the leaves are the pages.  For a pageblock of 8 pages:
 *
 *      order 3                  1
 *      order 2          2               3
 *      order 1      4       5       6       7
 *      order 0    8   9  10  11  12  13  14  15
 *      page       0   1   2   3   4   5   6   7
 *
 * So the buddy of node n is n ^ 1, its parent is n / 2, and the block of order k at page p is node
 * (PAGEBLOCK_PAGES + p) >> k.  The bit of a node is set if its block is free as one block.  Then no
 * bit of an ancestor or descendant is set, nor that of its buddy: two free buddies are merged.
 *
 * Free blocks are also counted by order, with all counts in one word.  Depth d is order
 * MAX_ORDER - d.  At most 2^(d - 1) of its blocks are free at once, since two buddies never are; so
 * its count needs d bits.  Larger orders have lower bits.  So the lowest bit set in the word tells
 * the largest free order.  The highest bit set below the counts of orders that are too small tells
 * the smallest order that suffices.  Neither needs a loop over orders.
 *
 *      bit     0 | 1 | 2 3 | 4 5 6 | 7 8 9 10 | ...
 *      depth   0 | 1 |  2  |   3   |    4     | ...
 *
 * This code knows no pages, zones or locks.  Its caller holds the lock that protects the map.
 */
#ifndef QUARRY_MM_FREE_MAP_H
#define QUARRY_MM_FREE_MAP_H

#include <quarry/mm_types.h>

/* The result if there is no such order, or no such page. */
#define FREE_MAP_NONE (-1)

/* The first bit, and the number of bits, of the count of the blocks at @depth. */
#define FREE_COUNT_AT(depth)    ((depth) ? 1 + (depth) * ((depth)-1) / 2 : 0)
#define FREE_COUNT_WIDTH(depth) ((depth) ? (depth) : 1)
BUILD_ASSERT(FREE_COUNT_AT(MAX_ORDER) + FREE_COUNT_WIDTH(MAX_ORDER) < 64);
/* By depth: the value that adds one block to the counts.  A last entry exceeds all counts. */
#define MAX_DEPTHS 12
extern const u64 free_count_unit[MAX_DEPTHS];
BUILD_ASSERT(NR_ORDERS < MAX_DEPTHS);
/* By depth: the value that adds one block of this depth and one of each larger order. */
extern const u64 free_count_units[MAX_DEPTHS];
/* For each bit of the counts, the depth whose count it belongs to; for all pageblock sizes. */
extern const u8 free_count_depth[64];

static always_inline unsigned free_node(unsigned page, unsigned order)
{
	return (unsigned)(PAGEBLOCK_PAGES + page) >> order;
}

/* The value that adds one block of @order to the counts. */
static always_inline u64 free_unit(unsigned order)
{
	return free_count_unit[MAX_ORDER - order];
}

/* The value that adds one block of each of the orders [@order, @end) to the counts. */
static always_inline u64 free_units(unsigned order, unsigned end)
{
	return free_count_units[MAX_ORDER - order] - free_count_units[MAX_ORDER - end];
}

/* Is the bit of @node set?  Without the lock, the answer may be out of date. */
static always_inline bool free_map_bit(const struct free_map *map, unsigned node)
{
	return READ_ONCE(map->bit[node / 64]) >> node % 64 & 1;
}

static always_inline void free_map_flip(struct free_map *map, unsigned node)
{
	WRITE_ONCE(map->bit[node / 64], map->bit[node / 64] ^ 1ULL << node % 64);
}

/* The number of free blocks of @order.  Any context; without the lock, it may be out of date. */
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
	/* Ignore the counts of smaller orders, which begin at the unit of the next depth. */
	u64 counts = READ_ONCE(map->counts) & (free_count_unit[MAX_ORDER - order + 1] - 1);

	return counts ? MAX_ORDER - free_count_depth[highest_bit(counts)] : FREE_MAP_NONE;
}

/* The first page of the first free block of @order, which must exist. */
unsigned free_map_first(const struct free_map *map, unsigned order);
/* The order of the free block that contains page @page (of the pageblock); or FREE_MAP_NONE. */
int free_map_order_at(const struct free_map *map, unsigned page);
/* The order of the free block that begins at page @page; or FREE_MAP_NONE.  As free_map_count. */
int free_map_begins_at(const struct free_map *map, unsigned page);
/* Mark the block of @order at @page free (no page was), or not free; nothing merges or splits. */
void free_map_set(struct free_map *map, unsigned page, unsigned order);
void free_map_clear(struct free_map *map, unsigned page, unsigned order);

/* Make the whole pageblock, which has no free page, one free block; or the reverse.  Two stores. */
static always_inline void free_map_store_whole(struct free_map *map, bool whole)
{
	CHECKED_ASSERT(map->counts == (whole ? 0 : free_unit(MAX_ORDER)));
	WRITE_ONCE(map->bit[0], whole ? 1ULL << 1 : 0);
	WRITE_ONCE(map->counts, whole ? 1 : 0);
}

/* Free a block, and merge it as long as its buddy is free; returns the order that results. */
static always_inline unsigned free_map_put(struct free_map *map, unsigned page, unsigned order)
{
	unsigned node = free_node(page, order), word = node / 64, whole;
	u64 bits = map->bit[word];

	CHECKED_ASSERT(!(page & ((1U << order) - 1)) && free_map_order_at(map, page) < 0);
	/* The loop ends at node 1, the whole pageblock: its buddy is bit 0, which is never set. */
	while (bits >> (node ^ 1) % 64 & 1) {
		bits ^= 1ULL << (node ^ 1) % 64;
		node /= 2;
		if (node / 64 != word) {
			WRITE_ONCE(map->bit[word], bits);
			word = node / 64;
			bits = map->bit[word];
		}
	}
	WRITE_ONCE(map->bit[word], bits | 1ULL << node % 64);
	whole = MAX_ORDER - highest_bit(node);
	WRITE_ONCE(map->counts, map->counts + free_unit(whole) - free_units(order, whole));
	return whole;
}

/*
 * Take a block of @order: the first pages of one of the smallest free blocks that suffice.  The
 * block's other pages stay free; its order goes into *@had (not NULL).  The page; FREE_MAP_NONE.
 */
int free_map_take(struct free_map *map, unsigned order, unsigned *had);
/*
 * Take up to @max free blocks of @order, at least one of which must exist; all from one word of the
 * tree.  Returns their bits in that word, whose lowest bit is node *@first.
 */
u64 free_map_take_word(struct free_map *map, unsigned order, unsigned max, unsigned *first);
/* Take the block of @order at @page out of the free block that contains it; false: none does. */
bool free_map_take_at(struct free_map *map, unsigned page, unsigned order);
/* Recount: do the counts match the bits, and is every page in at most one free block? */
bool free_map_ok(const struct free_map *map);

/* ---- many blocks at once ---- */

/*
 * The parents of @pairs, bits of word @word; the result is bits of word @word / 2.  Buddies are
 * neighbours, a node of even number and the next one: every second bit of the pairs is a parent.
 */
static always_inline u64 free_map_parents(u64 pairs, unsigned word)
{
	pairs &= 0x5555555555555555;
	pairs = (pairs | pairs >> 1) & 0x3333333333333333;
	pairs = (pairs | pairs >> 2) & 0x0f0f0f0f0f0f0f0f;
	pairs = (pairs | pairs >> 4) & 0x00ff00ff00ff00ff;
	pairs = (pairs | pairs >> 8) & 0x0000ffff0000ffff;
	pairs = (pairs | pairs >> 16) & 0x00000000ffffffff;
	return pairs << word % 2 * 32;
}

/*
 * Free many blocks of @order, up to 64, given as bits @news of word @word of the tree, and merge
 * them: all pairs of a word at once, then their parents, as long as there are pairs.  Returns the
 * largest new order.
 */
static always_inline unsigned free_map_put_many(
    struct free_map *map, unsigned word, unsigned order, u64 news)
{
	u64 counts = map->counts, had, pairs, left;
	unsigned node;

	for (; news & (news - 1); order++) {
		had = map->bit[word];
		CHECKED_ASSERT(!(had & news));
		/* No two buddies were both free before, so each pair contains a new block. */
		pairs = ((had | news) & (had | news) >> 1 & 0x5555555555555555) * 3;
		WRITE_ONCE(map->bit[word], (had | news) ^ pairs);
		for (left = had & pairs; left; left &= left - 1)
			counts -= free_unit(order);
		for (left = news & ~pairs; left; left &= left - 1)
			counts += free_unit(order);
		if (!pairs) {
			WRITE_ONCE(map->counts, counts);
			return order;
		}
		news = free_map_parents(pairs, word);
		word /= 2;
	}
	/* A single block is left: it is merged by itself. */
	CHECKED_ASSERT(news);
	WRITE_ONCE(map->counts, counts);
	node = word * 64 + lowest_bit(news);
	return free_map_put(map, (node << order) - (unsigned)PAGEBLOCK_PAGES, order);
}

#endif
