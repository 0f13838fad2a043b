/* SPDX-License-Identifier: MIT */
/*
 * direct_many.c: many pages of order 0 in one hold of the zone lock, past a stack that is empty or
 * full, for alloc_pages_bulk and free_pages_bulk of more than a batch.
 *
 * Owns:       nothing.
 * Locks:      interrupts off; the zone lock inside, in one hold.
 * Invariants: as direct_inline.h: an allocation or free that is not plain is left to the slow
 *             paths, one page at a time.
 * Tests:      play_past, zone_locks.
 */
#include "mm/buddy.h"
#include "mm/event.h"
#include "mm/page.h"
#include "mm/pcp.h"
#include "mm/zone.h"
#include <quarry/sched_point.h>

/* The most pages allocated, and the most freed, in one hold of the zone lock; a free costs more. */
#define TAKE_AT_ONCE 64u
#define GIVE_AT_ONCE 32u

unsigned alloc_direct_many(struct memory *mem, gfp_t gfp, unsigned long nr, struct page **pages)
{
	unsigned n = (unsigned)MIN(nr, TAKE_AT_ONCE), got = 0;
	irqflags_t flags = arch_irq_save();
	struct pcp *pcp = this_pcp(mem);
	struct zone *zone = READ_ONCE(pcp->home[gfp % ARRAY_SIZE(pcp->home)]);
	unsigned long enough = zone_plenty(zone, n);

	if (likely(READ_ONCE(zone->nr_free) >= enough + READ_ONCE(zone->nr_free_cma) &&
	        !READ_ONCE(zone->futile))) {
		zone_lock(zone);
		if (likely(zone->nr_free - zone->nr_free_cma >= enough))
			got = buddy_take_batch(
			    zone, 0, gfp_type(gfp), PAGE_WORD(1, PG_ALLOC, 0), pages, n);
		zone_unlock(zone);
		counter_add(&pcp->event[EV_ALLOC_SLOW], got > 0);
		counter_add(&pcp->event[EV_ALLOC_DIRECT], got);
	}
	arch_irq_restore(flags);
	return got;
}

/* Does the page with its descriptor at @offset belong to @zone, and may the page be cached? */
static bool of_zone(const struct zone *zone, size_t offset)
{
	const struct memory *mem = zone->mem;
	pfn_t pfn = offset / sizeof(struct page);
	const struct pageblock *pb;

	if (pfn < mem->start_pfn || pfn >= mem->end_pfn)
		return false;
	pb = pageblock_of(mem, pfn);
	return pageblock_state(pb) == PB_ONLINE && pb->zone == zone->id &&
	    READ_ONCE(pb->stack[0]) % STACKS_PER_ZONE != STACK_NONE;
}

unsigned free_direct_many(struct memory *mem, unsigned long nr, struct page **pages)
{
	size_t offset = (uintptr_t)*pages - (uintptr_t)mem->memmap, block = offset + MEMMAP_ALIGN;
	unsigned n, most = (unsigned)MIN(nr, GIVE_AT_ONCE);
	pfn_t pfn = offset / sizeof(struct page);
	irqflags_t flags;
	struct zone *zone;

	if (unlikely(!*pages || pfn < mem->start_pfn || pfn >= mem->end_pfn))
		return 0;
	zone = zone_of(mem, pfn);
	flags = arch_irq_save();
	sched_point("free.direct");
	zone_lock(zone);
	sched_point("free.buddy_locked");
	/* A word read under the lock shows if a page is poisoned (law 4), or is in @pages twice. */
	for (n = 0; n < most; n++) {
		offset = (uintptr_t)pages[n] - (uintptr_t)mem->memmap;
		/* Is the page in another pageblock? */
		if (offset - block >= MEMMAP_ALIGN) {
			if (!of_zone(zone, offset))
				break;
			block = ALIGN_DOWN(offset, MEMMAP_ALIGN);
		}
		if (unlikely(offset % sizeof(struct page) ||
		        !arch_u32_is(&pages[n]->word, PAGE_WORD(1, PG_ALLOC, 0))))
			break;
		page_store(pages[n], AS_ALLOC(0), AS_FREEING(0));
	}
	if (n)
		buddy_give_batch(zone, pages, n, 0, PAGE_WORD(0, PG_FREEING, 0));
	zone_unlock(zone);
	counter_add(&this_pcp(mem)->event[EV_FREE_DIRECT], n);
	arch_irq_restore(flags);
	return n;
}
