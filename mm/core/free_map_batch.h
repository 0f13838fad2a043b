/* SPDX-License-Identifier: MIT */
/*
 * free_map_batch.h: free many blocks at once in the tree of one pageblock (free_map.h).
 *
 * Buddies are neighbours: a node of even number and the next node.  So a shift and a mask find all
 * pairs of free buddies in a word of the tree, and every second bit of the pairs becomes a parent.
 * At each level free_map_put merges one block, and free_map_put_many up to 64 blocks.  When a
 * single block is left, free_map_put_many leaves it to free_map_put.
 *
 * Owns:       struct free_map, together with free_map.c.
 * Locks:      none of its own: callers hold the lock that protects the map.
 * Invariants: free_map_ok holds at the end.
 * Tests:      buddy_batch.
 */
#ifndef QUARRY_MM_FREE_MAP_BATCH_H
#define QUARRY_MM_FREE_MAP_BATCH_H

#include "mm/core/free_map.h"

/* The parents of @pairs, bits of word @word; the result is bits of word @word / 2. */
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
 * Free many blocks of @order, given as bits @news of word @word of the tree, and merge them: all
 * pairs of a word at once, then their parents, as long as there are pairs.  Returns the largest new
 * order.
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
