/* SPDX-License-Identifier: MIT */
/* buddy.h: pageblocks and free blocks (pageblock.c, buddy.c, fallback.c, poison_take.c). */
#ifndef QUARRY_MM_BUDDY_H
#define QUARRY_MM_BUDDY_H

#include "mm/core/event.h"
#include "mm/core/free_map.h"
#include "mm/core/zone.h"

/* ---- pageblocks (pageblock.c) ---- */

void pageblock_set_isolated(struct zone *zone, pfn_t pfn, bool on) REQUIRES_ZONE(zone);
void pageblock_set_state(struct zone *zone, pfn_t pfn, enum pageblock_state state)
    REQUIRES_ZONE(zone);
/* Change an isolated pageblock, all pages of which are free or retired, to OFFLINE. */
void pageblock_set_offline(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Change an OFFLINE pageblock to HOLE; its broken pages are no longer counted. */
void pageblock_set_hole(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * Set PB_EVACUATED: the OFFLINE pageblock left with its node (coming online clears it); or
 * PB_REPORTED: the host was told that the pageblock is wholly free.
 */
void pageblock_set_flag(struct zone *zone, pfn_t pfn, u8 flag) REQUIRES_ZONE(zone);
/* Change the type; the pageblock moves to the list of the new type. */
void pageblock_change_type(struct zone *zone, pfn_t pfn, enum migratetype type) REQUIRES_ZONE(zone);
/* Set type and zone of a pageblock that has no free block yet. */
void pageblock_init(struct memory *mem, pfn_t pfn, struct zone *zone, enum migratetype type);

/*
 * Walk the heads of the pageblock at @block, with each head's pfn in @pfn, under the zone lock.
 * Heads and orders do not change meanwhile: only the buddy allocator makes and unmakes heads, and
 * the caches change neither a head nor its order.
 */
#define for_each_head(mem, pfn, block)                                                             \
	for ((pfn) = (block); (pfn) < (block) + PAGEBLOCK_PAGES;                                   \
	     (pfn) += 1UL << word_order(block_word((mem), (pfn))))

/*
 * Is every page of a pageblock free?  An unlocked read; for an isolated pageblock the answer yes
 * stays true, since nothing is allocated from it.  The answer is no if the pageblock has retired
 * pages: without the lock their count and that of free pages may be from different moments.
 */
static inline bool pageblock_all_free(const struct pageblock *pb)
{
	return READ_ONCE(pb->nr_free) == (unsigned)PAGEBLOCK_PAGES;
}

/* The first page from @pfn on whose pageblock is not wholly free, or >= @end.  Unlocked: a hint. */
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
 * Add a free block to the tree of its pageblock, or delete it there; the zone's count changes too,
 * unless the pageblock is isolated.  Nothing merges, and no word changes.
 */
void buddy_list_add(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
void buddy_list_del(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Take the pageblock at @pfn off its list and out of the zone's counts. */
void buddy_block_leaves(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Put it back, unless it is isolated. */
void buddy_block_comes(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Make the pageblock at @block, which has just come ONLINE with nothing free, one free block. */
void buddy_block_online(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/*
 * Free a block that the caller owns, and merge it.  Its head still has its old word, which becomes
 * 0.  The type and isolate bit of the pageblock are read here, under the lock, and not earlier.
 */
void buddy_free(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Take a block of exactly @order; all its words are 0.  PFN_NONE: @type has no such block. */
pfn_t buddy_alloc(struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);
/* buddy_alloc from a pageblock of another type, which it steals where that is allowed. */
pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
    REQUIRES_ZONE(zone);
/*
 * Take up to @max blocks of @order and @type in one hold of the lock; a pageblock is used up before
 * the next one.  The blocks' words become @word, and their heads go into @out.  Of blocks side by
 * side the lowest comes last, because a stack gives out its last block first.  Returns the number
 * of blocks; 0 only if there is none.  So that the lock is not held for long, there may be fewer
 * than @max even if the zone has more, where free blocks are small and far from each other.
 */
unsigned buddy_take_batch(struct zone *zone, unsigned order, enum migratetype type, u32 word,
    struct page **out, unsigned max) REQUIRES_ZONE(zone);
/*
 * Free @nr blocks of @order that the caller owns, whose words are all @word, as buddy_free.  Blocks
 * that follow each other in @pages and belong to one word of a tree are freed together.
 */
void buddy_give_batch(struct zone *zone, struct page **pages, unsigned nr, unsigned order, u32 word)
    REQUIRES_ZONE(zone);
/* Take the block at @pfn out of the free block that contains it.  Returns @pfn. */
pfn_t buddy_take(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Is there a free block of @order or larger for a request of @type, which is a cached type? */
bool buddy_has(const struct zone *zone, unsigned order, enum migratetype type) REQUIRES_ZONE(zone);

/* Allocate [start, end), all free and in one pageblock, as blocks of order 0 (buddy_range.c). */
void buddy_take_range(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);
/* Free the pages [@start, @end) of one pageblock of @zone, which are RESERVED (buddy_range.c). */
void zone_free_reserved(struct zone *zone, pfn_t start, pfn_t end) REQUIRES_ZONE(zone);

/* ---- counts and lists after a change, for buddy.c, buddy_batch.c and pageblock.c ---- */

/* Update counts and list after the tree of the pageblock at @pfn has changed by @nr pages. */
void buddy_map_changed(struct zone *zone, pfn_t pfn, long nr) REQUIRES_ZONE(zone);
/* Move a pageblock from its list, if any, to the list of order @largest; below 0: to no list. */
void buddy_move(struct zone *zone, pfn_t block, int largest) REQUIRES_ZONE(zone);

/* Store the number of free pages of @pb; add @nr to those of @zone, or to the part in CMA areas. */
static always_inline void block_set_free(struct pageblock *pb, u16 nr) REQUIRES(zone_class)
{
	WRITE_ONCE(pb->nr_free, nr);
	CHECKED_ASSERT(pb->nr_free <= PAGEBLOCK_PAGES);
}

static always_inline void zone_add_free(struct zone *zone, unsigned long nr) REQUIRES_ZONE(zone)
{
	WRITE_ONCE(zone->nr_free, zone->nr_free + nr);
}

static always_inline void zone_add_lent(struct zone *zone, unsigned long nr) REQUIRES_ZONE(zone)
{
	WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma + nr);
}

/*
 * Count @nr pages that blocks of @order have added to the tree of the pageblock at @pfn; @whole is
 * the largest order that they merged to.  The pageblock changes its list only if @whole exceeds the
 * order of its largest free block before: a merge uses up that block only to make a larger one.  An
 * isolated pageblock has list 0, so it always takes that branch.  Returns the number of pages to
 * add to the zone's count.
 */
static always_inline unsigned buddy_gave(struct zone *zone, struct pageblock *pb,
    const struct pageblock_tree *tree, pfn_t pfn, unsigned order, unsigned whole, unsigned nr)
    REQUIRES_ZONE(zone)
{
	CHECKED_ASSERT(pb->zone == zone->id && pageblock_state(pb) == PB_ONLINE);
	block_set_free(pb, (u16)(pb->nr_free + nr));
	if (unlikely(whole >= tree->list)) {
		if (pageblock_isolated(pb)) {
			MM_EVENT_ADD(zone->mem, FREE_ISOLATED, nr >> order);
			return 0;
		}
		buddy_move(zone, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), free_map_largest(&tree->map));
	}
	CHECKED_ASSERT(tree->list == free_map_largest(&tree->map) + 1);
	if (unlikely(pageblock_type(pb) == MT_CMA)) {
		zone_add_free(zone, nr); /* first, as in count_in_zone */
		zone_add_lent(zone, nr);
		return 0;
	}
	return nr;
}

/* ---- broken pages and free blocks (poison_take.c), all under the zone lock ---- */

/* Take the page at @pfn out of the free block that contains it, flag it and retire it. */
void poison_take_free(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/*
 * Flag the page at @pfn, in the block in use with its head at @head; the page is retired when the
 * block is freed.  Returns the state of the page at that moment: a page that was ALLOC then, or
 * earlier, gets no other owner (page_take_state).
 */
enum page_state poison_doom(struct zone *zone, pfn_t head, pfn_t pfn) REQUIRES_ZONE(zone);
/* Free a block with flagged pages: flagged pages are retired, the others are freed. */
void poison_free_block(struct zone *zone, pfn_t pfn, unsigned order) REQUIRES_ZONE(zone);
/* Make a retired page free again (unpoison). */
void poison_give_back(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);
/* Give words of a pageblock, all free or retired, their offline form: 0 but for poison flags. */
void poison_pack_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/* The reverse: free the pages, but retire those that are flagged. */
void poison_unpack_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/* Flag all pages of an offline pageblock that already counts all of them as broken. */
void poison_flag_block(struct zone *zone, pfn_t block) REQUIRES_ZONE(zone);
/* The first flagged page of [start, end), which lies in one pageblock; PFN_NONE: none. */
pfn_t poison_first(const struct memory *mem, pfn_t start, pfn_t end);

#endif
