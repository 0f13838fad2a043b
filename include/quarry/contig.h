/* SPDX-License-Identifier: MIT */
/*
 * contig.h: making large contiguous blocks from memory in use: compaction, ranges, CMA areas.
 *
 * All functions move pages, so they need a thread that may sleep, and never run in an allocation.
 * Errors are negative errno values; docs/mm/migrate.md.
 */
#ifndef QUARRY_CONTIG_H
#define QUARRY_CONTIG_H

#include <quarry/mm.h>

/* ---- compaction (mm/move/compact.c) ---- */

struct compact_stats {
	unsigned long moved;   /* blocks moved */
	unsigned long failed;  /* blocks that could not be isolated or moved */
	unsigned long windows; /* windows from which blocks were moved */
	unsigned long looks;   /* pageblocks and windows that the scanners checked */
};
/*
 * compact_zone - move movable pages of @zone until it has a free block of @order for a request with
 * @gfp; bounded work.  Adds to *@stats, which may be NULL.
 * Returns 0: it has such a block (not reserved: another allocation may take it first); -ENOMEM too
 * few free pages, or all movable pages have moved; -EAGAIN the limit of work was reached; -EINVAL
 * @order is 0 or too large; -EDEADLK context.
 * Context: thread, may sleep; not from an allocation, since moving mapped pages makes cross-calls.
 * Locks: cpu_hotplug shared, pcp_ctl; lru, zone, the owners'.
 */
int compact_zone(struct zone *zone, gfp_t gfp, unsigned order, struct compact_stats *stats)
    EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * compact_memory - gather the free memory of every zone in as few pageblocks as possible.  It goes
 * through each zone once, and empties each pageblock once: so it ends even if other threads
 * allocate meanwhile.  *@stats, which may be NULL, is set to the work done.  Returns 0; -EDEADLK in
 * a wrong context.  Context as compact_zone.
 */
int compact_memory(struct memory *mem, struct compact_stats *stats)
    EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);

/* ---- ranges (mm/hotplug/contig.c) ---- */

/*
 * alloc_contig_range - allocate the pages [@start, @end).  Pages in use are moved elsewhere first;
 * so all of them must be movable.
 * @type: the pages' use.  MT_CMA: all pageblocks of the range must have that type, and with any
 * other @type none may.  MT_MOVABLE: the user can move the pages, so the range may lie in zone
 * MOVABLE; with any other @type it may not.  A pageblock that is wholly inside takes the type.
 * Returns 0: each page is ALLOC, of order 0, with one reference.  On an error nothing is changed,
 * except that some pages may have moved; @fail, which may be NULL, has place and reason (after
 * -EDEADLK and -EOVERFLOW it is as before).  -EINVAL empty, wrapping, outside, holes, two zones,
 * partly offline, a type that does not fit; -EBUSY reserved, unmovable or pinned page, another
 * operation has isolated a pageblock, or a page stayed busy; -ENOMEM no memory to move to; -EDEADLK
 * context; -EOVERFLOW as zone_pcp_disable, with the policy disable.
 * Context: thread, may sleep.  Locks: cpu_hotplug shared, pcp_ctl, lru, zone, the owners'.
 */
int alloc_contig_range(struct memory *mem, pfn_t start, pfn_t end, enum migratetype type,
    struct mm_fail *fail) must_check EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * Free @nr pages from @start on, each as free_pages does; so they may also be freed one by one.
 * Returns how many were refused (and reported): all @nr, in one report, if a page is outside of the
 * memory.  Context: any.
 */
unsigned long free_contig_range(struct memory *mem, pfn_t start, unsigned long nr)
    EXCLUDES(zone_class);

/* ---- areas (mm/hotplug/cma.c) ---- */

/*
 * A CMA area: a range of pageblocks of type CMA, lent to movable allocations, and given to its
 * users in contiguous pieces.  If its creation has failed, or it was destroyed, it is no area: then
 * cma_alloc, cma_free and cma_destroy refuse it.  Fields: c constant; l lock.
 */
struct cma {
	const char *name;
	struct memory *mem; /* c */
	/*
	 * c: the zone of all its pageblocks; a pageblock removed, then added to another zone, is no
	 * longer part of the area
	 */
	struct zone *zone;
	pfn_t start, end;  /* c */
	struct mutex lock; /* one allocation or free at a time; outer to all of mm/ */
	u64 *used;         /* l, read racily: a bit for each page that a user has; NULL: no area */
	unsigned long nr_used; /* l, read racily */
};
/*
 * cma_create - make [@start, @start + @nr), whole pageblocks, an area; its pages may be in use if
 * they can move.
 * @name stays with the area.
 * Returns 0; or, without an area: -EINVAL not whole pageblocks, zone MOVABLE (whose types do not
 * change), or CMA already; -ENOMEM; other errors as alloc_contig_range.
 */
int cma_create(struct cma *cma, const char *name, struct memory *mem, pfn_t start, unsigned long nr)
    must_check EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * cma_create_anywhere - as cma_create, but it chooses the place itself: @nr pages, whole
 * pageblocks, of one zone.
 * Returns 0; -EINVAL not whole pageblocks; -ENOMEM no such place, or more than half of the free
 * memory that the kernel can allocate from; -EBUSY pages in the places that were tried could not
 * be moved, or have just gone offline; -EDEADLK context; -EOVERFLOW as alloc_contig_range.
 */
int cma_create_anywhere(struct cma *cma, const char *name, struct memory *mem, unsigned long nr)
    must_check EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * Make the area's pageblocks movable ones again, also if they are offline.  Pageblocks that were
 * removed, or have come back in another zone since, are not touched.
 * Returns 0; -EINVAL no area; -EBUSY a user has pages of the area.
 */
int cma_destroy(struct cma *cma) EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * cma_alloc - allocate @nr contiguous pages, the first at a multiple of 2^@align; *@out is the
 * first page's descriptor.
 * Returns 0; -EINVAL no area, no pages, more than it has, or no such order; -ENOMEM no such run is
 * online and unused, or no memory to move to; -EBUSY pages in each run could not be moved, or in
 * those tried within 5 s; -EDEADLK context; -EOVERFLOW as alloc_contig_range.
 */
int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
    must_check EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * Free pages of cma_alloc, all or a part.  Returns 0; -EINVAL no area, or not all are in use by
 * users; -EBUSY some are still referenced: these (each reported, as by free_pages) stay their
 * user's, and the others are free.
 */
int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
    EXCLUDES(pcp_ctl_class, object_class, lru_class, zone_class);
/*
 * Numbers of the area's pages, by state; their sum is the area's size, or 0 if there is no area.
 * A hint.  Context: any.
 */
struct cma_use {
	unsigned long users; /* pages given to users */
	unsigned long lent;  /* pages lent to movable allocations */
	unsigned long free;
	unsigned long offline;
	unsigned long gone; /* pages removed, or in another zone now */
};
struct cma_use cma_count(const struct cma *cma);

#endif
