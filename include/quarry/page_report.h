/* SPDX-License-Identifier: MIT */
/*
 * page_report.h: telling the host which free memory it may drop (mm/page_report.c).
 */
#ifndef QUARRY_PAGE_REPORT_H
#define QUARRY_PAGE_REPORT_H

#include <quarry/mm.h>

/* How far a walk over a memory has come; zeroed, it begins. */
struct report_walk {
	unsigned zone;
	pfn_t pfn;
};

/*
 * take_unreported - take the next wholly free pageblocks of @walk, up to @max, of which the host has not
 * been told that their content is worth nothing, off the free lists.
 * Returns how many, 0: the walk has ended; blocks[] has their first pfns.  They are in state FREEING: an
 * isolation waits for them.
 * What the watermarks keep stays where it is.  Context: any.  Locks: zone.
 */
unsigned take_unreported(struct memory *mem, struct report_walk *walk, pfn_t *blocks, unsigned max)
    EXCLUDES(zone_class);
/*
 * give_reported - free them again.  @told: the host has dropped them, and need not be told again before
 * somebody has used them.  Context: any.  Locks: zone.
 */
void give_reported(struct memory *mem, const pfn_t *blocks, unsigned nr, bool told) EXCLUDES(zone_class);

#endif
