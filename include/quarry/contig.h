/* SPDX-License-Identifier: MIT */
/*
 * contig.h: large and contiguous memory out of memory that is in use: compaction, ranges, CMA areas.
 *
 * All of it moves movable pages out of the way, so it needs a thread that may sleep, and never runs in
 * an allocation.  Errors are negative errno values; docs/mm/contig.md.
 */
#ifndef QUARRY_CONTIG_H
#define QUARRY_CONTIG_H

#include <quarry/mm.h>

/* ---- compaction (mm/compact.c) --------------------------------------------------------------- */

struct compact_stats {
	unsigned long moved;   /* blocks moved to make room */
	unsigned long failed;  /* that could not be moved, or not be taken */
	unsigned long windows; /* places out of which something was moved */
	unsigned long looks;   /* at pageblocks, by the scanner from above, and at windows */
};
/*
 * compact_zone - move movable pages of @zone out of the way until a free block of @order is there for a
 * request with @gfp; bounded work.  Adds to *@stats, which may be NULL.
 * Returns 0: there is one now, or was already (it is nobody's: others may take it first); -ENOMEM too
 * little is free, or all that can move has moved; -EAGAIN the work was at its bound; -EINVAL no order
 * above 0 that there is; -EDEADLK context.
 * Context: thread, may sleep; not from an allocation, since moving mapped pages asks other CPUs.
 * Locks: cpu_hotplug shared, pcp_ctl; lru, zone, the owners'.
 */
int compact_zone(struct zone *zone, gfp_t gfp, unsigned order, struct compact_stats *stats)
    EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * compact_memory - gather what is free in every zone in as few pageblocks as can be.  Each zone is gone through once,
 * and each pageblock emptied once: it ends whatever others allocate meanwhile.
 * *@stats, which may be NULL, tells what was done.  Returns 0; -EDEADLK context.  As compact_zone.
 */
int compact_memory(struct memory *mem, struct compact_stats *stats)
    EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);

/* ---- ranges (mm/contig.c) -------------------------------------------------------------------- */

/*
 * alloc_contig_range - allocate the pages [@start, @end), whoever has them now, if they can move.
 * @type: what they will serve.  MT_CMA: all their pageblocks are of that type, and else none is;
 * MT_MOVABLE: the user can let them move, so they may lie in zone MOVABLE, others not.  A pageblock that is
 * wholly inside takes the type.
 * Returns 0: each page is ALLOC, of order 0, with one reference; else nothing is changed but that some
 * objects may have moved, and @fail, which may be NULL, tells where and why: -EINVAL empty, wrapping,
 * outside, holes, two zones, partly offline, a type that does not fit; -EBUSY reserved, unmovable or
 * pinned page, somebody else has isolated a pageblock, or what is there did not go; -ENOMEM nowhere to
 * move to; -EDEADLK context.
 * Context: thread, may sleep.  Locks: cpu_hotplug shared, pcp_ctl, lru, zone, the owners'.
 */
int alloc_contig_range(struct memory *mem, pfn_t start, pfn_t end, enum migratetype type,
    struct mm_fail *fail) must_check EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * Free @nr pages from @start on, each as free_pages does; so they may also be freed one by one.
 * Returns how many were refused (and reported).  Context: any.
 */
unsigned long free_contig_range(struct memory *mem, pfn_t start, unsigned long nr)
    EXCLUDES(zone_class);

/* ---- areas (mm/cma.c) ------------------------------------------------------------------------ */

/*
 * A range of pageblocks of type CMA: lent to movable allocations, and given to its users in
 * contiguous pieces.  Fields: c constant; l lock.
 */
struct cma {
	const char *name;
	struct memory *mem;     /* c */
	struct zone *zone;      /* c: of all its pageblocks; one that comes back in another zone is lost to it */
	pfn_t start, end;       /* c */
	struct mutex lock;      /* one allocation or free at a time; outer to all of mm/ */
	u64 *used;              /* l: a bit for each page that a user has */
	unsigned long nr_used;  /* l, read racily */
};
/*
 * cma_create - make [@start, @start + @nr), whole pageblocks, an area; it may be in use if it can move.
 * @name stays with the area.  Returns 0; -EINVAL not whole pageblocks, zone MOVABLE (whose types do not
 * change), or CMA already; -ENOMEM; as alloc_contig_range.  Then there is no area.
 */
int cma_create(struct cma *cma, const char *name, struct memory *mem, pfn_t start, unsigned long nr)
    must_check EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * cma_create_anywhere - the same in a place that is found: @nr pages, whole pageblocks, of one zone.
 * Returns 0; -EINVAL not whole pageblocks; -ENOMEM no such place, or more than half of the free memory that the
 * kernel's own can come from; -EBUSY what lies in the places that were tried did not go; -EDEADLK context.
 */
int cma_create_anywhere(struct cma *cma, const char *name, struct memory *mem, unsigned long nr)
    must_check EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * Give the pageblocks back, as movable ones; those too that are offline.  Those that were removed, or have come back
 * in another zone since, are nobody's to give.  Returns 0; -EBUSY: a user has pages of it.
 */
int cma_destroy(struct cma *cma) EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * cma_alloc - @nr contiguous pages, the first at a multiple of 2^@align, its descriptor in *@out.
 * Returns 0; -EINVAL no pages, more than the area has, or no such order; -ENOMEM there is no such run that is
 * online and no user's, or nowhere to move to; -EBUSY each had something in it that did not go; -EDEADLK context.
 */
int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out) must_check
    EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/* Give back what cma_alloc gave, or a part of it.  Returns 0; -EINVAL not all of it is a user's. */
int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
    EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/* What has become of the area's pages; their sum is its size.  A hint.  Context: any. */
struct cma_use {
	unsigned long users;   /* given to users */
	unsigned long lent;    /* to movable allocations */
	unsigned long free;
	unsigned long offline;
	unsigned long gone;    /* removed, or in another zone since */
};
struct cma_use cma_count(const struct cma *cma);

#endif
