/* SPDX-License-Identifier: MIT */
/*
 * buddy_inline.h: updating counts and lists after a free; for buddy.c, which frees one block, and
 * buddy_batch.c, which frees many.
 *
 * Locks:      the zone lock throughout.
 * Invariants: those of buddy.c, after a block is in its tree and counted.
 * Tests:      buddy, buddy_batch.
 */
#ifndef QUARRY_MM_BUDDY_INLINE_H
#define QUARRY_MM_BUDDY_INLINE_H

#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/free_map.h"

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
	if (unlikely(pageblock_type(pb) == MT_CMA))
		zone_add_lent(zone, nr);
	return nr;
}

#endif
