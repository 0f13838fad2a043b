/* SPDX-License-Identifier: MIT */
/*
 * buddy.h: pageblocks and free blocks (pageblock.c, buddy.c, fallback.c, buddy_range.c,
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
/* To HOLE, from OFFLINE; its broken pages no longer count. */
void pageblock_set_hole(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Note that it went offline with its node, until it is online again. */
void pageblock_set_evacuated(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* The host knows that it is wholly free. */
void pageblock_set_reported(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Change the type; the pageblock moves to the list of the new one. */
void pageblock_change_type(struct zone *zone, pfn_t pfn, enum migratetype type) REQUIRES_ZONE(zone);
/* Set type and zone of a pageblock that has no free block yet. */
void pageblock_init(struct memory *mem, pfn_t pfn, struct zone *zone, enum migratetype type);

/*
 * Walk the heads of the pageblock at @pfn, under the zone lock: there heads and orders do not
 * change, since only the buddy makes and unmakes heads; caching, allocating and freeing a block
 * changes neither its head nor its order.
 */
#define for_each_head(mem, pfn, block)                                                             \
	for ((pfn) = (block); (pfn) < (block) + PAGEBLOCK_PAGES;                                   \
	     (pfn) += 1UL << word_order(block_word((mem), (pfn))))

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

/*
 * @pfn or, if its pageblock is wholly free, the start of the next one that is not; @end or more:
 * there is none below @end.  Without the lock the answer is a hint.
 */
static inline pfn_t not_all_free(const struct memory *mem, pfn_t pfn, pfn_t end)
{
	const struct pageblock *pb = pageblock_of(mem, pfn);

	if (!pageblock_all_free(pb))
		return pfn;
	do {
		pb++;
		pfn = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES;
	} while (pfn < end && pageblock_all_free(pb));
	return pfn;
}

/* ---- free blocks (buddy.c, fallback.c, buddy_range.c), all under the zone lock ---- */

/*
 * Note that the block at @pfn is free, or is no longer: in its pageblock, and in the zone's count
 * if that is not isolated.  Nothing merges, and no word changes.
 */
void buddy_list_add(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
void buddy_list_del(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/*
 * Take the pageblock at @pfn off its list and out of the zone's counts; the second puts it back,
 * unless it is isolated.
 */
void buddy_block_leaves(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
void buddy_block_comes(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * All of the pageblock at @block, which has just come ONLINE with nothing free, is one free block.
 */
void buddy_block_online(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/*
 * Put back a block that the caller owns, whose head still has its old word, which becomes 0, and
 * merge it.  The type and isolate bit of the pageblock are read here, under the lock, and nowhere
 * earlier.
 */
void buddy_free(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Take a block of exactly @order, of which all words are 0; PFN_NONE if the type has none. */
pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);
/* The same from other types, stealing pageblocks where that is allowed. */
pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
    REQUIRES_ZONE(zone);
/*
 * A batch, in one hold of the lock.  Take up to @max blocks of @order and @type, as buddy_alloc
 * does; but as many as it can give out of one pageblock, then out of the next.  Their words become
 * @word, their heads go into @out, the lowest of those side by side last, for a stack that gives
 * them out from its end.  Returns how many.
 */
unsigned buddy_take_batch(struct zone *zone, unsigned order, enum migratetype type, u32 word,
    struct page **out, unsigned max) REQUIRES_ZONE(zone);
/*
 * Put back @nr blocks of @order that the caller owns, whose words are all @word, as buddy_free.
 * Those that follow each other in @pages and are of one word of a tree go back together.
 */
void buddy_give_batch(struct zone *zone, struct page **pages, unsigned nr, unsigned order, u32 word)
    REQUIRES_ZONE(zone);
/* Take that very block out of the free one that it lies in.  Returns @pfn. */
pfn_t buddy_take(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Is there a block of @order or larger that a request of @type, a cached one, can take? */
bool buddy_has(const struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);

/*
 * Take the pages [start, end), which lie in one pageblock and are all free, as order 0; what their
 * blocks have beyond stays free (buddy_range.c).
 */
void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);
/* Free the pages [@start, @end) of one pageblock of @zone, which are RESERVED (buddy_range.c). */
void zone_free_reserved(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);

/* ---- broken pages and free blocks (poison_take.c), all under the zone lock ---- */

/*
 * Take the page at @pfn out of the free block that it lies in: flagged, retired and out of
 * everybody's reach when this returns.
 */
void poison_take_free(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * Flag a page of the block with its head at @head, which is in use: it is retired when it is freed.
 */
void poison_doom(struct zone *zone, pfn_t head, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * Free a block, as buddy_free, of which pages are flagged: those are retired, the others are free.
 */
void poison_free_block(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Make a retired page free again (unpoison). */
void poison_give_back(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * Change the words of a wholly free or retired pageblock to their offline form (0 except poison
 * flags); poison_unpack_block reverses it.
 */
void poison_pack_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
void poison_unpack_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/* Flag all pages of a pageblock that is offline, and counts them already. */
void poison_flag_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/* The first flagged page of [start, end), which lies in one pageblock; PFN_NONE. */
pfn_t poison_first(const struct memory *mem, pfn_t start, pfn_t end);

#endif
