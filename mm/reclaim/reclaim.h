/* SPDX-License-Identifier: MIT */
/* reclaim.h: the reclaim threads (reclaim.c), and dropping pages (reclaim_lru.c). */
#ifndef QUARRY_MM_RECLAIM_H
#define QUARRY_MM_RECLAIM_H

#include "mm/reclaim/reclaim_ask.h"

int reclaim_start(struct memory *mem);
void reclaim_stop(struct memory *mem);

/*
 * Move up to @want anonymous pages, at most RECLAIM_BATCH, from @zone, which is below MOVABLE, to
 * the MOVABLE zone of its node, as long as that has free pages above its high watermark.  @lent:
 * only pages of CMA pageblocks, else only others.  @walked: the used part of a budget of walks
 * (rmap.h).  Returns how many.  Context: reclaim thread.
 */
unsigned long move_to_movable(struct zone *zone, unsigned long want, bool lent, u32 *walked)
    EXCLUDES(object_class, lru_class, zone_class);

/*
 * Reclaim one batch of pages of the inactive list.  If that list is shorter than the active one,
 * first age a batch of the active list.
 */
void reclaim_batch(struct lru_scan *scan) EXCLUDES(object_class, lru_class, zone_class);

#endif
