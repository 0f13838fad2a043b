/* SPDX-License-Identifier: MIT */
/*
 * zone.c: watermarks of zones, the zone of a range, and the node of a CPU.
 *
 * Owns:       struct zone's span, watermarks and reserve.
 * Locks:      mem->hotplug for spans; the watermarks are read racily by allocations.
 * Invariants: min <= low <= high.
 * Tests:      zone, pageblock, nodes, memory_span, zone_locks.
 */
#include "mm/core/event.h"
#include "mm/core/zone.h"

/*
 * Below min, pages are for ATOMIC requests (half of them) and for reclaim.  Below low, reclaim is
 * woken; at high it stops.  min is 1/128 of the zone, at least 16 pages and at most 16 MiB; low and
 * high are 1/4 and 1/2 above min.
 */
#define WMARK_DIVISOR 128
#define WMARK_FLOOR   16UL
#define WMARK_CEILING 4096UL
/* The part of a lower zone that is kept from requests that could use a higher kind: 1/32. */
#define RESERVE_DIVISOR 32

struct zone_marks zone_marks(const struct zone *zone)
{
	unsigned long least = MIN(WMARK_FLOOR, zone->managed / 8);
	unsigned long min = MIN(MAX(zone->managed / WMARK_DIVISOR, least), WMARK_CEILING);

	KASSERT(min <= zone->managed);
	return (struct zone_marks){
	    .wmark = {[WMARK_MIN] = min, [WMARK_LOW] = min + min / 4, [WMARK_HIGH] = min + min / 2},
	    .reserve = zone->managed / RESERVE_DIVISOR};
}

void zone_set_watermarks(struct zone *zone)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	struct zone_marks marks = zone_marks(zone);

	WRITE_ONCE(zone->wmark[WMARK_MIN], marks.wmark[WMARK_MIN]);
	WRITE_ONCE(zone->wmark[WMARK_LOW], marks.wmark[WMARK_LOW]);
	WRITE_ONCE(zone->wmark[WMARK_HIGH], marks.wmark[WMARK_HIGH]);
	WRITE_ONCE(zone->reserve, marks.reserve);
	zone_unlock_irqrestore(zone, flags);
}

bool zone_reserved(const struct zone *zone, gfp_t gfp)
{
	const struct zone *other;

	if (zone->kind == gfp_kind(gfp))
		return false;
	for_each_zone(zone->mem, other)
		if (other->kind > zone->kind && other->kind <= gfp_kind(gfp) &&
		    (other->node == zone->node || !(gfp & GFP_THISNODE)) &&
		    READ_ONCE(other->managed) > 0)
			return true;
	return false;
}

int range_zone(struct memory *mem, struct pfn_range range, struct zone **zone, struct mm_fail *fail)
{
	const struct pageblock *pb, *end;
	pfn_t pfn;
	u8 id;

	if (!range_ok(mem, range))
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	*zone = zone_of(mem, range.start);
	id = (u8)(*zone)->id;
	pb = pageblock_of(mem, range.start);
	end = pb + (range_pages(range) >> PAGEBLOCK_ORDER);
	for (; pb < end; pb++) {
		if (likely(pageblock_state(pb) != PB_HOLE && pb->zone == id))
			continue;
		pfn = range.end - ((pfn_t)(end - pb) << PAGEBLOCK_ORDER);
		return mm_fail(
		    fail, pfn, pageblock_state(pb) == PB_HOLE ? WHY_HOLE : WHY_ZONES, -EINVAL);
	}
	/* The span contains all pageblocks of the zone, and only grows. */
	KASSERT(range.start >= READ_ONCE((*zone)->start_pfn));
	KASSERT(range.end <= READ_ONCE((*zone)->end_pfn));
	return 0;
}

struct node *memory_node(struct memory *mem, unsigned cpu)
{
	unsigned node = arch_cpu_node(cpu);

	return &mem->nodes[node < mem->nr_nodes ? node : 0];
}
