/* SPDX-License-Identifier: MIT */
/* reclaim.h: the reclaim threads (reclaim.c), and what they drop (reclaim_lru.c). */
#ifndef QUARRY_MM_RECLAIM_H
#define QUARRY_MM_RECLAIM_H

#include "mm/reclaim_ask.h"

int reclaim_start(struct memory *mem);
void reclaim_stop(struct memory *mem);

/* One batch of the inactive list, after one of the active list if the inactive one is short. */
void reclaim_batch(struct lru_scan *scan) EXCLUDES(object_class, lru_class, zone_class);

#endif
