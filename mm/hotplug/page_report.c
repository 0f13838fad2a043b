/* SPDX-License-Identifier: MIT */
/*
 * page_report.c: telling the host which free memory it may drop.
 *
 * Owns:       the bit REPORTED of pageblocks; free pageblocks while they are being reported;
 *             zone->nr_reporting.
 * Locks:      the zone lock for each pageblock; none while the host is told.
 * Invariants: while the host is told of a pageblock, it is not free, so no page of it is allocated
 *             and then dropped by the host.  Meanwhile the zone keeps enough free pages for each
 *             kind of request, and a wholly free pageblock.  If others take these pages too, no
 *             task is killed before the report ends (alloc_oom.c).  The bit is set only on
 *             pageblocks that have been wholly free since the report; taking a block clears it.
 * Checked by: check_memory(), I-R2.  Tests: page_report, memory_span.
 *
 * Only whole pageblocks are reported: where the size matters, the host's pages are as large, and
 * one bit for each pageblock is enough.
 */
#include "mm/core/buddy.h"
#include "mm/core/event.h"
#include "mm/core/page.h"
#include <quarry/page_report.h>
#include <quarry/sched_point.h>

/* Spans may overlap, so zone_owns_block; a pageblock that is not online is never all free. */
static bool reportable(const struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	return zone_owns_block(zone, pfn) && !(READ_ONCE(pb->bits) & (PB_ISOLATED | PB_REPORTED)) &&
	    pageblock_all_free(pb);
}

/* Is another pageblock wholly free, and @lent too?  Only movable requests can use lent ones. */
static bool other_whole(const struct zone *zone, pfn_t pfn, bool lent) REQUIRES_ZONE(zone)
{
	unsigned type;

	ASSERT_ZONE_LOCKED(zone);
	for (type = 0; type < NR_MIGRATETYPES; type++) {
		pfn_t first = zone->blocks[type][MAX_ORDER];

		if ((type == MT_CMA) == lent && first != PFN_NONE &&
		    (first != pfn || tree_of(zone->mem, pfn)->next != PFN_NONE))
			return true;
	}
	return false;
}

/*
 * May the pageblock, which is reportable, be missing for a moment?  Requests that can use a higher
 * kind of zone need the zone's reserve too, and kernel requests cannot use lent pages.
 */
static bool can_spare(const struct zone *zone, pfn_t pfn) REQUIRES_ZONE(zone)
{
	bool lent = pageblock_type(pageblock_of(zone->mem, pfn)) == MT_CMA;
	gfp_t gfp = (lent ? GFP_MOVABLE : GFP_KERNEL) | GFP_WMARK_HIGH;

	return zone_watermark_ok(zone, MAX_ORDER, gfp, zone_reserved(zone, GFP_MOVABLE)) &&
	    other_whole(zone, pfn, lent);
}

/* The block becomes FREEING for a moment: an isolation waits for it, an allocation does not. */
static bool take_block(struct zone *zone, pfn_t pfn)
{
	struct memory *mem = zone->mem;
	irqflags_t flags;
	bool take;

	if (!reportable(zone, pfn)) /* an unlocked read */
		return false;
	flags = zone_lock_irqsave(zone);
	take = reportable(zone, pfn) && can_spare(zone, pfn);
	if (take) {
		buddy_list_del(zone, pfn, MAX_ORDER); /* one block: free buddies are merged */
		page_store(pfn_to_page_in(mem, pfn), AS_TAIL, AS_FREEING(MAX_ORDER));
		atomic_add(&zone->nr_reporting, 1u);
	}
	zone_unlock_irqrestore(zone, flags);
	return take;
}

unsigned take_unreported(struct memory *mem, struct report_walk *walk, pfn_t *blocks, unsigned max)
{
	unsigned nr = 0;

	for (; walk->zone < mem->nr_nodes * NR_ZONE_KINDS; walk->zone++, walk->pfn = 0) {
		struct zone *zone = &mem->zones[walk->zone];
		pfn_t start, end = zone_span(zone, &start);

		walk->pfn = MAX(walk->pfn, start);
		for (; walk->pfn < end; walk->pfn += PAGEBLOCK_PAGES) {
			if (nr == max)
				return nr;
			if (!take_block(zone, walk->pfn))
				continue;
			blocks[nr++] = walk->pfn;
			sched_point("report.taken");
		}
	}
	return nr;
}

void give_reported(struct memory *mem, const pfn_t *blocks, unsigned nr, bool told)
{
	unsigned i;

	for (i = 0; i < nr; i++) {
		struct zone *zone = zone_of(mem, blocks[i]);
		struct page *page = pfn_to_page_in(mem, blocks[i]);
		irqflags_t flags = zone_lock_irqsave(zone);
		u32 word = page_word(page);

		PAGE_ASSERT(
		    mem, page, (word & ~PAGE_POISON) == PAGE_WORD(0, PG_FREEING, MAX_ORDER));
		if (unlikely(word & PAGE_POISON)) {
			/* A page broke meanwhile: the pageblock is not wholly free. */
			poison_free_block(zone, blocks[i], MAX_ORDER);
		} else {
			buddy_free(zone, blocks[i], MAX_ORDER);
			if (told)
				pageblock_set_flag(zone, blocks[i], PB_REPORTED);
		}
		/* Last: a thread that reads the new number finds the pages. */
		atomic_sub(&zone->nr_reporting, 1u);
		zone_unlock_irqrestore(zone, flags);
	}
	if (told)
		MM_EVENT_ADD(mem, REPORTED, nr);
}
