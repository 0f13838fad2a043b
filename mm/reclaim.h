/* SPDX-License-Identifier: MIT */
/* reclaim.h: the reclaim threads (reclaim.c), and what they drop (reclaim_lru.c). */
#ifndef QUARRY_MM_RECLAIM_H
#define QUARRY_MM_RECLAIM_H

#include "mm/reclaim_ask.h"

int reclaim_start(struct memory *mem);
void reclaim_stop(struct memory *mem);

/*
 * Move up to @want anonymous pages, at most RECLAIM_BATCH, of @zone, below MOVABLE, to what is free
 * in the MOVABLE zone of its node above the high watermark; returns how many.  Context: reclaim
 * thread.
 */
unsigned long move_to_movable(struct zone *zone, unsigned long want)
    EXCLUDES(object_class, lru_class, zone_class);

/* One batch of the inactive list, after one of the active list if the inactive one is short. */
void reclaim_batch(struct lru_scan *scan) EXCLUDES(object_class, lru_class, zone_class);

#endif
