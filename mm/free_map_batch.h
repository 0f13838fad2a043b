/* SPDX-License-Identifier: MIT */
/*
 * free_map_batch.h: many blocks become free in the tree of one pageblock (free_map.h) at once.
 *
 * Buddies are neighbours: a node of even number and the one behind it.  So one word of the tree
 * shows all its pairs of free buddies by a shift and a mask, and every second bit of them is a
 * parent.  free_map_put goes up in steps of one bit, and this frees up to 64 blocks on the way,
 * until one is left.
 *
 * Owns:       struct free_map, as free_map.c.
 * Locks:      none of its own: the user's.
 * Invariants: free_map_ok, at the end.
 * Tests:      buddy_batch.
 */
#ifndef QUARRY_MM_FREE_MAP_BATCH_H
#define QUARRY_MM_FREE_MAP_BATCH_H

#include "mm/free_map.h"

/* Which parents have these pairs of bits of word @word?  They are bits of word @word / 2. */
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
 * Free many blocks of @order, those that are bits @news of word @word of the tree, and merge them:
 * all pairs of a word at once, then their parents, as long as there are pairs.  Returns the largest
 * new order.
 */
static always_inline unsigned free_map_put_many(
    struct free_map *map, unsigned word, unsigned order, u64 news)
{
	u64 counts = map->counts, had, pairs, left;
	unsigned node;

	for (; news & (news - 1); order++) {
		had = map->bit[word];
		CHECKED_ASSERT(!(had & news));
		/* No two buddies were both free: a pair has something new in it. */
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
