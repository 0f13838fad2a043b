/* SPDX-License-Identifier: MIT */
/* lru_scan.h: a run of reclaim over the lists of one zone (reclaim_lru.c). */
#ifndef QUARRY_MM_LRU_SCAN_H
#define QUARRY_MM_LRU_SCAN_H

#include "mm/mm_priv.h"

/* A run of reclaim over one zone. */
struct lru_scan {
	struct zone *zone;
	unsigned batch;        /* pages to take at a time, up to RECLAIM_BATCH */
	bool direct;           /* by an allocation: only what needs no shootdown */
	bool desperate;        /* drop also what has been touched */
	bool spare_cma;        /* keep pages of CMA pageblocks: they would help no waiting request */
	unsigned long freed;   /* pages, so far */
	unsigned long freed_cma; /* of these, in CMA pageblocks */
	const void *refused;   /* the object whose pager did not take a page: it is not asked again */
};
/* One batch of the inactive list, after one of the active list if the inactive one is short. */
void reclaim_batch(struct lru_scan *scan) EXCLUDES(object_class, lru_class, zone_class);

#endif
