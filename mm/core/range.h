/* SPDX-License-Identifier: MIT */
/* range.h: ranges of pages and of pageblocks (zone.c). */
#ifndef QUARRY_MM_RANGE_H
#define QUARRY_MM_RANGE_H

#include <quarry/mm.h>

/* The range [@start, @start + @nr); if that wraps, range_ok refuses it. */
static inline struct pfn_range pfn_range(pfn_t start, unsigned long nr)
{
	return (struct pfn_range){start, start + nr};
}
static inline unsigned long range_pages(struct pfn_range range)
{
	return range.end - range.start;
}
/* The whole pageblocks that contain @range; the pageblock of @pfn. */
static inline struct pfn_range range_blocks(struct pfn_range range)
{
	return (struct pfn_range){
	    ALIGN_DOWN(range.start, PAGEBLOCK_PAGES), ALIGN_UP(range.end, PAGEBLOCK_PAGES)};
}
static inline struct pfn_range block_range(pfn_t pfn)
{
	return pfn_range(ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), PAGEBLOCK_PAGES);
}
/* Do the two ranges have a page in common? */
static inline bool ranges_meet(struct pfn_range a, struct pfn_range b)
{
	return a.start < b.end && b.start < a.end;
}
/* Walk the pageblocks that @range lies in. */
#define for_each_block(pfn, range)                                                                 \
	for ((pfn) = ALIGN_DOWN((range).start, PAGEBLOCK_PAGES); (pfn) < (range).end;              \
	     (pfn) += PAGEBLOCK_PAGES)

/*
 * The end of the pageblocks, from @pfn on and below @end, that one hold of the zone lock changes.
 */
static inline pfn_t blocks_end(const struct memory *mem, pfn_t pfn, pfn_t end)
{
	return MIN(end, pfn + mem->blocks_at_once * PAGEBLOCK_PAGES);
}

/* True if @range is a non-empty range of whole pageblocks, inside @mem. */
static inline bool range_ok(const struct memory *mem, struct pfn_range range)
{
	return range.start < range.end && !((range.start | range.end) & (PAGEBLOCK_PAGES - 1)) &&
	    range.start >= mem->start_pfn && range.end <= mem->end_pfn;
}
/*
 * As range_ok, and all pageblocks are of one zone and no HOLE.  Returns 0 and the zone, or -EINVAL
 * and the reason.
 */
int range_zone(
    struct memory *mem, struct pfn_range range, struct zone **zone, struct mm_fail *fail);

#endif
