/* SPDX-License-Identifier: MIT */
/* zone.h: ranges of pages; locks, spans and watermarks of zones (zone.c, zonelist.c). */
#ifndef QUARRY_MM_ZONE_H
#define QUARRY_MM_ZONE_H

#include <quarry/mm.h>

/* ---- ranges ---- */

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

/* The end of the pageblocks from @pfn on, below @end, that one hold of the zone lock changes. */
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
/* range_ok, and of one zone without HOLEs?  Returns 0 and the zone, or -EINVAL and the reason. */
int range_zone(
    struct memory *mem, struct pfn_range range, struct zone **zone, struct mm_fail *fail);

/* ---- locks; zone_lock is in mm.h ---- */

/* After a function's declaration: the caller holds the lock of @zone. */
#define REQUIRES_ZONE(zone) REQUIRES((zone)->lock, zone_class)
/* Inside a function with REQUIRES_ZONE: assert that the lock is held. */
#define ASSERT_ZONE_LOCKED(zone) KASSERT(spin_is_held(&(zone)->lock))

static inline irqflags_t lru_lock_irqsave(struct zone *zone) ACQUIRE(zone->lru_lock, lru_class)
    NO_LOCK_ANALYSIS
{
	return spin_lock_irqsave(&zone->lru_lock);
}

static inline void lru_unlock_irqrestore(struct zone *zone, irqflags_t flags)
    RELEASE(zone->lru_lock, lru_class) NO_LOCK_ANALYSIS
{
	spin_unlock_irqrestore(&zone->lru_lock, flags);
}

/* ---- spans, watermarks, zonelists ---- */

/* Has @zone a span, and so a place in zonelists?  A true answer stays true.  Any context. */
static inline bool zone_has_span(const struct zone *zone)
{
	return READ_ONCE(zone->end_pfn) > READ_ONCE(zone->start_pfn);
}

/* The number of a zone's stack, by the index of its order (mm/core/pcp.h) and its type. */
static inline unsigned zone_stack(const struct zone *zone, unsigned index, enum migratetype type)
{
	return stacks_of(zone->id) + index * NR_CACHED_TYPES + type;
}

/* Does @stack belong to the zone? */
static inline bool stack_of_zone(const struct zone *zone, unsigned stack)
{
	return stack - stacks_of(zone->id) < STACKS_PER_ZONE;
}

/* Walk all zones of @mem, also those without memory. */
#define for_each_zone(mem, zone)                                                                   \
	for ((zone) = (mem)->zones; (zone) < (mem)->zones + nr_zones(mem); (zone)++)

/* Is @page, which must not be in a HOLE, a page of @zone? */
static inline bool zone_has_page(const struct zone *zone, const struct page *page)
{
	return READ_ONCE(pageblock_of(zone->mem, page_to_pfn_in(zone->mem, page))->zone) ==
	    zone->id;
}
/* Does the pageblock at @pfn, in the span of @zone, belong to @zone, and is it no HOLE? */
static inline bool zone_owns_block(const struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	return pageblock_state(pb) != PB_HOLE && READ_ONCE(pb->zone) == zone->id;
}
/*
 * The zone's span: returns its end, and *@start.  The end is read first: it is stored last
 * (grow_span), so with the end of a zone's first span goes its start.
 */
static inline pfn_t zone_span(const struct zone *zone, pfn_t *start)
{
	pfn_t end = load_acquire(&zone->end_pfn);

	*start = READ_ONCE(zone->start_pfn);
	return end;
}
/* Walk the pageblocks of @zone; those of other zones and holes in its span are skipped. */
#define for_each_zone_block(zone, pfn)                                                             \
	for (pfn_t end_ = zone_span((zone), &(pfn)); (pfn) < end_; (pfn) += PAGEBLOCK_PAGES)       \
		if (zone_owns_block((zone), (pfn)))

/* More flags for zone_spare: use no watermark; use the high one; use the low one. */
#define GFP_ALL_RESERVE 0x100u
#define GFP_WMARK_HIGH  0x200u
#define GFP_WMARK_LOW   0x400u
/* The pages of the largest free block that is lent (CMA); 0: there is none.  A hint. */
static inline long zone_largest_lent(const struct zone *zone)
{
	u32 have = READ_ONCE(zone->have[MT_CMA]);

	return have ? 1L << highest_bit(have) : 0;
}
/*
 * The number of pages that a request may take from @zone; below 0 if the zone lacks pages.  @lower:
 * the request must leave the reserve (zone_reserved).
 *
 * Lent (CMA) pages do not stand in for the watermark: it is met by other pages, which every request
 * can use.  Where these do not suffice, a movable request gets a lent block.
 */
static inline long zone_spare(const struct zone *zone, gfp_t gfp, bool lower)
{
	unsigned mark = gfp & GFP_WMARK_HIGH ? WMARK_HIGH
	    : gfp & GFP_WMARK_LOW            ? WMARK_LOW
	                                     : WMARK_MIN;
	unsigned long kept = READ_ONCE(zone->wmark[mark]), lent = READ_ONCE(zone->nr_free_cma);
	unsigned long nr_free = READ_ONCE(zone->nr_free);
	long spare;

	if (gfp & GFP_RESERVE)
		kept /= 2;
	if (lower)
		kept += READ_ONCE(zone->reserve);
	if (gfp & GFP_ALL_RESERVE)
		kept = 0;
	/* Without the lock rather too much than too little: that is noticed under it. */
	lent = MIN(lent, READ_ONCE(zone->nr_free_cma));
	spare = (long)(nr_free - lent - kept);
	if (unlikely(lent) && gfp & GFP_MOVABLE)
		spare = MAX(spare, MIN(zone_largest_lent(zone), spare + (long)lent));
	return spare;
}
/*
 * Could a request with @gfp use memory of a higher kind than @zone's?  Then the zone keeps its
 * reserve from the request.  A kind without managed pages holds back nothing.  Any context.
 */
bool zone_reserved(const struct zone *zone, gfp_t gfp);
/* May a request take 2^order pages of @zone? */
static inline bool zone_watermark_ok(const struct zone *zone, unsigned order, gfp_t gfp, bool lower)
{
	return zone_spare(zone, gfp, lower) >= 1L << order;
}
/*
 * The number of blocks, not lent ones, that a refill of up to @n may take from @zone now.  Below
 * the watermark it is 0; and a movable request takes a lent block before it uses a reserve.  From a
 * reserve it is 1, for the caller: other requests would take blocks left in the cache.
 */
static inline unsigned zone_share(
    const struct zone *zone, unsigned n, unsigned order, gfp_t gfp, bool lower)
{
	const gfp_t rights = GFP_RESERVE | GFP_ALL_RESERVE;
	long above = zone_spare(zone, gfp & ~(rights | GFP_MOVABLE), lower) >> order;

	if (likely(above > 0))
		return (unsigned)MIN((unsigned long)n, (unsigned long)above);
	if (gfp & GFP_MOVABLE && zone_largest_lent(zone) >> order)
		return 0;
	return gfp & rights && zone_watermark_ok(zone, order, gfp & ~GFP_MOVABLE, lower);
}
/* Add to the pages of @zone that are present, and to those managed. */
static always_inline void zone_add_pages(
    struct zone *zone, unsigned long present, unsigned long managed) REQUIRES_ZONE(zone)
{
	WRITE_ONCE(zone->present, zone->present + present);
	WRITE_ONCE(zone->managed, zone->managed + managed);
}
/* The watermarks and the reserve of @zone that follow from the pages managed now. */
struct zone_marks {
	unsigned long wmark[3], reserve;
};
struct zone_marks zone_marks(const struct zone *zone) REQUIRES(zone_class);
/* Compute the watermarks from the pages managed now; takes the zone lock. */
void zone_set_watermarks(struct zone *zone) EXCLUDES(zone_class);
/*
 * Build the zonelists.  Other CPUs may read a list while an added zone is inserted: a reader never
 * misses a zone that was in the list before.  No other thread builds lists meanwhile.
 */
void memory_build_zonelists(struct memory *mem);
/* The node of @cpu; node 0 if @mem has no such node.  Any context. */
struct node *memory_node(struct memory *mem, unsigned cpu);
/* The highest kind of zone that @gfp allows. */
static inline enum zone_kind gfp_kind(gfp_t gfp)
{
	if (gfp & GFP_DMA32)
		return ZONE_DMA32;
	return (gfp & GFP_MOVABLE) ? ZONE_MOVABLE : ZONE_NORMAL;
}
static inline enum migratetype gfp_type(gfp_t gfp)
{
	return (gfp & GFP_MOVABLE) ? MT_MOVABLE : (enum migratetype)(gfp & GFP_TYPE_MASK);
}

/* The next zone of for_each_zone_of from place *@at on, which moves past it; NULL: no more. */
static inline struct zone *zonelist_next(const struct node *node, gfp_t gfp, unsigned *at)
{
	enum zone_kind kind = gfp_kind(gfp);

	while (*at < load_acquire(&node->nr_zones[kind])) {
		struct zone *zone = &node->mem->zones[load_acquire(&node->zonelist[kind][*at])];

		++*at;
		if (!(gfp & GFP_THISNODE) || zone->node == node->id)
			return zone;
	}
	return NULL;
}
/* Walk the zones that @gfp allows, nearest to @node first; @at is the counter.  Any context. */
#define for_each_zone_of(node, gfp, zone, at)                                                      \
	for ((at) = 0; ((zone) = zonelist_next((node), (gfp), &(at)));)

/* Allocate from the nearest zone to @node that @gfp allows and that has pages (zonelist.c). */
struct page *alloc_from_zonelist(const struct node *node, gfp_t gfp, unsigned order);

/* Is @zone below its low watermark, counting only pages that every request may take? */
static inline bool zone_low(const struct zone *zone)
{
	return zone_spare(zone, GFP_KERNEL | GFP_WMARK_LOW, false) < 0;
}

#endif
