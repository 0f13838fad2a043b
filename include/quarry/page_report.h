/* SPDX-License-Identifier: MIT */
/* page_report.h: reporting free memory to the host, which may drop it (page_report.c). */
#ifndef QUARRY_PAGE_REPORT_H
#define QUARRY_PAGE_REPORT_H

#include <quarry/mm.h>

/* The position of a walk over a memory; zeroed at its start. */
struct report_walk {
	unsigned zone;
	pfn_t pfn;
};

/*
 * take_unreported - take the next wholly free pageblocks of @walk, up to @max, that are not
 * reported yet, out of the buddy allocator.
 * Returns how many, 0: the walk has ended; blocks[] has their first pfns.  They are in state
 * FREEING: an isolation waits for them.  A zone keeps free the pages of its high watermark and its
 * reserve, not counting lent (CMA) pages, and a wholly free pageblock that is not lent; if it has
 * lent pageblocks, also one of these.  Context: any.  Locks: zone.
 */
unsigned take_unreported(struct memory *mem, struct report_walk *walk, pfn_t *blocks, unsigned max)
    EXCLUDES(zone_class);
/*
 * give_reported - free pageblocks of take_unreported again.  @told: the host has dropped their
 * content, and they need no further report before they are used.  Context: any.  Locks: zone.
 */
void give_reported(struct memory *mem, const pfn_t *blocks, unsigned nr, bool told)
    EXCLUDES(zone_class);

#endif
