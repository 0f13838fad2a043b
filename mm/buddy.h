/* SPDX-License-Identifier: MIT */
/*
 * buddy.h: pageblocks and free lists (pageblock.c, buddy.c, fallback.c, buddy_range.c,
 * poison_take.c).
 */
#ifndef QUARRY_MM_BUDDY_H
#define QUARRY_MM_BUDDY_H

#include "mm/zone.h"

/* ---- pageblocks (pageblock.c) ---- */

/* All RANK_ZONE held.  Each recomputes the stack numbers. */
void pageblock_set_isolated(struct zone *zone, pfn_t pfn, bool on) REQUIRES_ZONE(zone);
void pageblock_set_state(struct zone *zone, pfn_t pfn, enum pageblock_state state)
    REQUIRES_ZONE(zone);
/* To OFFLINE, from isolated and wholly free. */
void pageblock_set_offline(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* To HOLE, from OFFLINE: what was broken there is gone with it. */
void pageblock_set_hole(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Note that it went offline with its node, until it is online again. */
void pageblock_set_evacuated(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* The host knows that it is wholly free. */
void pageblock_set_reported(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Change the type; the pageblock's free blocks move to the lists of the new one. */
void pageblock_change_type(struct zone *zone, pfn_t pfn, enum migratetype type) REQUIRES_ZONE(zone);
/* Set type and zone of a pageblock that has no free block yet. */
void pageblock_init(struct memory *mem, pfn_t pfn, struct zone *zone, enum migratetype type);

/*
 * Walk the heads of the pageblock at @pfn, under the zone lock: there heads and orders do not
 * change, since only the buddy makes and unmakes heads (pages going in and out of caches and hands
 * keep theirs).
 */
#define for_each_head(mem, pfn, block)                                                             \
	for ((pfn) = (block); (pfn) < (block) + PAGEBLOCK_PAGES;                                   \
	     (pfn) += 1UL << word_order(page_word(pfn_to_page_in((mem), (pfn)))))

/*
 * Is every page of a pageblock free?  Without the lock: while it is isolated nothing is allocated
 * from it, so the answer yes stays true.  Retired pages are not counted in: two counts that are
 * read without the lock need not belong together.  Where there are some, the answer is no, and a
 * caller that must know checks under the lock.
 */
static inline bool pageblock_all_free(const struct pageblock *pb)
{
	return READ_ONCE(pb->nr_free) == (unsigned)PAGEBLOCK_PAGES;
}

/* ---- free lists (buddy.c, fallback.c, buddy_range.c), all under the zone lock ---- */

/*
 * The only two places that touch a free list, its counts and the pageblock's count.  They read the
 * isolate bit themselves: blocks of an isolated pageblock are counted by it and are on no list.
 */
void buddy_list_add(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
void buddy_list_del(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/*
 * Put back a block that the caller owns, whose head still has its old word, and merge it.  The type
 * and isolate bit of the pageblock are read here, under the lock, and nowhere earlier.
 */
void buddy_free(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Take a block of exactly @order, state FREE and on no list; PFN_NONE if the type has none. */
pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);
/* The same from other types, stealing pageblocks where that is allowed. */
pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
    REQUIRES_ZONE(zone);
/* Take the listed block at @pfn, of order @have, and cut it down to @order.  Returns @pfn. */
pfn_t buddy_take(struct zone *zone, pfn_t pfn, unsigned have, unsigned order) REQUIRES_ZONE(zone);
/* Is there a block of @order or larger that a request of @type, a cached one, can take? */
bool buddy_has(const struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);

/*
 * Take the pages [start, end), which lie in one pageblock and are all free, as order 0; what their
 * blocks have beyond stays free (buddy_range.c).
 */
void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);
/* Free the pages [@start, @end) of one pageblock of @zone, which are RESERVED (buddy_range.c). */
void zone_free_reserved(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);

/* ---- broken pages and the free lists (poison_take.c), all under the zone lock ---- */

/*
 * Take the page at @pfn out of the free block with its head at @head: flagged, retired and out of
 * everybody's reach when this returns.
 */
void poison_take_free(struct zone *zone, pfn_t head, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * Flag a page of the block with its head at @head, which is in use: it is retired when it is freed.
 */
void poison_doom(struct zone *zone, pfn_t head, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * Free a block, as buddy_free, of which pages are flagged: those are retired, the others are free.
 */
void poison_free_block(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* A retired page is free. */
void poison_give_back(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * The words of a wholly free or retired pageblock as they are offline: 0, but for the flags.  And
 * back.
 */
void poison_pack_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
void poison_unpack_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/* Flag all pages of a pageblock that is offline, and counts them already. */
void poison_flag_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/* The first flagged page of [start, end), which lies in one pageblock; PFN_NONE. */
pfn_t poison_first(const struct memory *mem, pfn_t start, pfn_t end);

#endif
