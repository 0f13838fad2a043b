/* SPDX-License-Identifier: MIT */
/*
 * buddy_inline.h: one block becomes free, for buddy.c, which frees one, and buddy_batch.c, which
 * frees many.
 *
 * Locks:      the zone lock throughout.
 * Invariants: those of buddy.c, after both steps.
 * Tests:      buddy, buddy_batch.
 */
#ifndef QUARRY_MM_BUDDY_INLINE_H
#define QUARRY_MM_BUDDY_INLINE_H

#include "mm/buddy.h"
#include "mm/event.h"
#include "mm/free_map.h"

/*
 * The tree of the pageblock at @pfn has changed by @nr pages: counts, list.  Its type and its
 * isolate bit are read here, under the lock, and nowhere earlier.
 */
void buddy_map_changed(struct zone *zone, pfn_t pfn, long nr) REQUIRES_ZONE(zone);
/* Put the pageblock, which is not isolated, on the list of its largest free block. */
void buddy_relist(struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone);

/*
 * @nr pages more are in the tree of the pageblock at @pfn, of blocks of @order, in one of order
 * @whole and smaller ones.  Merging never uses up a largest block without making a larger one: so
 * the pageblock moves only if @whole is larger than all it had.  Of an isolated one, which is on no
 * list, anything is.  Returns how many pages more the zone has.
 */
static always_inline unsigned buddy_gave(struct zone *zone, struct pageblock *pb,
    const struct pageblock_tree *tree, pfn_t pfn, unsigned order, unsigned whole, unsigned nr)
    REQUIRES_ZONE(zone)
{
	CHECKED_ASSERT(pb->zone == zone->id && pageblock_state(pb) == PB_ONLINE);
	WRITE_ONCE(pb->nr_free, (u16)(pb->nr_free + nr));
	CHECKED_ASSERT(pb->nr_free <= PAGEBLOCK_PAGES);
	if (unlikely(whole >= tree->list)) {
		if (pageblock_isolated(pb)) {
			MM_EVENT_ADD(zone->mem, FREE_ISOLATED, nr >> order);
			return 0;
		}
		buddy_relist(zone, pfn);
	}
	CHECKED_ASSERT(tree->list == free_map_largest(&tree->map) + 1);
	if (unlikely(pageblock_type(pb) == MT_CMA))
		WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma + nr);
	return nr;
}

#endif
