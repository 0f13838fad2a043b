/* SPDX-License-Identifier: MIT */
/*
 * to_movable.c: moving pages from lower zones to MOVABLE, for requests that cannot use MOVABLE.
 *
 * Movable requests fall back to lower zones while MOVABLE has no free pages, and their pages stay
 * there afterwards.  So before a task is killed because the kernel lacks a page, a run of reclaim
 * also drops pages in MOVABLE, and moves pages of objects from the lower zone there.  To move lent
 * (CMA) pages would not help the kernel, and would use up the free pages of MOVABLE.
 *
 * Owns:       pages that it has isolated, until they have moved or are put back.
 * Locks:      none of its own.
 * Invariants: it uses only free pages of MOVABLE above the high watermark.  Only the reclaim thread
 *             runs this code, since its allocations never wait.
 * Tests:      to_movable, step_reclaim.
 */
#include "mm/move/migrate.h"
#include "mm/reclaim/reclaim.h"
#include <quarry/oom.h>

struct target_up {
	struct migrate_target to;
	const struct node *node; /* of the zone MOVABLE */
};

/* Allocate a page of zone MOVABLE; NULL: there is none. */
static struct page *get_there(struct migrate_target *to, struct memory *mem, unsigned order)
{
	struct page *page;

	KASSERT(order == 0); /* as all pages of objects */
	page = alloc_from_zonelist(container_of(to, struct target_up, to)->node,
	    GFP_MOVABLE | GFP_NOWAIT | GFP_THISNODE, 0);
	if (!page || zone_of(mem, page_to_pfn_in(mem, page))->kind == ZONE_MOVABLE)
		return page;
	mem_free_pages(mem, page, 0);
	return NULL;
}

/*
 * Isolate up to @max pages of @zone, lent ones or others: first anonymous ones, then those that the
 * run could not drop.  Pages of the other kind go to the young end of their list, so later scans
 * need not pass them again.
 */
static unsigned isolate_kind(struct zone *zone, bool lent, struct page **pages, unsigned max)
{
	enum lru_take take = lent ? TAKE_LENT : TAKE_UNLENT;
	unsigned which = NR_LRU, nr = 0;
	unsigned long left;

	while (nr < max && which-- > 0)
		for (left = READ_ONCE(zone->lru[which].nr); nr < max && left > 0;
		     left -= MIN(left, (unsigned long)LRU_SCAN))
			nr += lru_isolate_tail(zone, which, take, pages + nr, max - nr);
	return nr;
}

unsigned long memory_can_move_up(struct memory *mem)
{
	const struct zone *zone;
	unsigned long nr = 0;

	for_each_zone(mem, zone)
		if (zone->kind != ZONE_MOVABLE && READ_ONCE(zone_movable_for(zone)->managed) > 0)
			nr += READ_ONCE(zone->lru[LRU_UNEVICTABLE].nr);
	return nr;
}

unsigned long move_to_movable(struct zone *zone, unsigned long want, bool lent, u32 *walked)
{
	const struct zone *movable = zone_movable_for(zone);
	struct target_up up = {
	    .to = {.get = get_there, .give_back = migrate_anywhere.give_back, .walked = walked},
	    .node = &zone->mem->nodes[movable->node]};
	struct isolated_pages pages = {.to = &up.to};
	struct migrate_stats stats = {0};
	long there = zone_spare(movable, GFP_MOVABLE | GFP_WMARK_HIGH, false);

	KASSERT(may_sleep() && zone->kind < ZONE_MOVABLE);
	want = MIN(want, (unsigned long)RECLAIM_BATCH);
	if (there <= 0)
		return 0;
	pages.nr_lru =
	    isolate_kind(zone, lent, pages.lru, (unsigned)MIN(want, (unsigned long)there));
	/* A page that has moved is not held any more; but requests may still hope for the pages. */
	atomic_add(&zone->nr_moving, pages.nr_lru);
	atomic_sub(&zone->nr_reclaiming, pages.nr_lru);
	migrate_isolated(zone->mem, &pages, NULL, &stats);
	atomic_sub(&zone->nr_moving, pages.nr_lru);
	return stats.moved;
}
