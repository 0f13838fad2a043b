/* SPDX-License-Identifier: MIT */
/*
 * zone.c: zones of a node, the order in which an allocation tries them, and watermarks.
 *
 * Owns:       struct zone's span, marks and reserve; struct node's zonelists.
 * Locks:      mem->hotplug for spans and lists; the marks are read racily by allocations.
 * Invariants: min <= low <= high; a zonelist names each zone that has memory once, nearest node first
 *             and, on a node, highest kind first.
 * Tests:      zone, nodes, memory_span, zone_locks.
 */
#include "mm/mm_priv.h"

/*
 * min is what only ATOMIC callers may use (half of it) and reclaim owns; low wakes reclaim, high is
 * where it stops.  1/128 of the zone, at least 16 pages and at most 16 MiB; low and high are 1/4 and
 * 1/2 above it.
 */
#define WMARK_DIVISOR 128
#define WMARK_FLOOR   16UL
#define WMARK_CEILING 4096UL
/* What a lower zone keeps from requests that could use a higher one: 1/32 of it. */
#define RESERVE_DIVISOR 32

void zone_set_watermarks(struct zone *zone)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	unsigned long least = MIN(WMARK_FLOOR, zone->managed / 8);
	unsigned long min = MIN(MAX(zone->managed / WMARK_DIVISOR, least), WMARK_CEILING);

	WRITE_ONCE(zone->wmark[WMARK_MIN], min);
	WRITE_ONCE(zone->wmark[WMARK_LOW], min + min / 4);
	WRITE_ONCE(zone->wmark[WMARK_HIGH], min + min / 2);
	WRITE_ONCE(zone->reserve, zone->managed / RESERVE_DIVISOR);
	zone_unlock_irqrestore(zone, flags);
}

long zone_spare(const struct zone *zone, gfp_t gfp, bool lower)
{
	unsigned mark = gfp & GFP_HIGH_MARK ? WMARK_HIGH : gfp & GFP_LOW_MARK ? WMARK_LOW : WMARK_MIN;
	unsigned long kept = READ_ONCE(zone->wmark[mark]);

	if (gfp & GFP_RESERVE)
		kept /= 2;
	if (lower)
		kept += READ_ONCE(zone->reserve);
	if (gfp & GFP_ALL_RESERVE)
		kept = 0;
	/* Such a request cannot have lent pages; it must not use up what the watermark keeps beside them. */
	if (!(gfp & GFP_MOVABLE))
		kept += READ_ONCE(zone->nr_free_cma);
	return (long)(READ_ONCE(zone->nr_free) - kept);
}

bool zone_watermark_ok(const struct zone *zone, unsigned order, gfp_t gfp, bool lower)
{
	return zone_spare(zone, gfp, lower) >= 1L << order;
}

/* Node ids of @mem by distance from @from, nearest first; equals by id, counted from @from on. */
static unsigned nodes_by_distance(const struct memory *mem, unsigned from, u8 *out)
{
	unsigned nr = 0, i;

	for (i = 0; i < mem->nr_nodes; i++) {
		u8 node = (u8)((from + i) % mem->nr_nodes);
		unsigned at = nr++;

		while (at > 0 && mem->nodes[from].distance[out[at - 1]] > mem->nodes[from].distance[node]) {
			out[at] = out[at - 1];
			at--;
		}
		out[at] = node;
	}
	return nr;
}

/*
 * From the end to the front: an old entry stands at its new place, which is behind the old one, before it
 * is overwritten.
 */
static void store_zonelist(struct node *node, unsigned kind, const u8 *list, unsigned nr)
{
	unsigned old = READ_ONCE(node->nr_zones[kind]), i;

	for (i = nr; i-- > 0;) {
		store_release(&node->zonelist[kind][i], list[i]);
		if (i == old)
			store_release(&node->nr_zones[kind], (u8)nr);
	}
}

void memory_build_zonelists(struct memory *mem)
{
	u8 order[MAX_NODES], list[MAX_ZONES];
	unsigned n, i, kind;
	int k;

	for (n = 0; n < mem->nr_nodes; n++) {
		struct node *node = &mem->nodes[n];
		unsigned nr = nodes_by_distance(mem, n, order);

		for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
			unsigned count = 0;

			for (i = 0; i < nr; i++) {
				for (k = (int)kind; k >= 0; k--) {
					unsigned id = order[i] * NR_ZONE_KINDS + (unsigned)k;

					if (zone_has_span(&mem->zones[id]))
						list[count++] = (u8)id;
				}
			}
			store_zonelist(node, kind, list, count);
		}
	}
}

struct zone *zonelist_zone(struct memory *mem, gfp_t gfp, unsigned i)
{
	unsigned cpu_node = arch_cpu_node(arch_cpu_id()), at;
	const struct node *node = &mem->nodes[cpu_node < mem->nr_nodes ? cpu_node : 0];
	enum zone_kind kind = gfp_kind(gfp);

	for (at = 0; at < load_acquire(&node->nr_zones[kind]); at++) {
		struct zone *zone = &mem->zones[load_acquire(&node->zonelist[kind][at])];

		if ((gfp & GFP_THISNODE) && zone->node != node->id)
			continue;
		if (i-- == 0)
			return zone;
	}
	return NULL;
}

int range_zone(struct memory *mem, pfn_t start, unsigned long nr, struct zone **zone,
    struct mm_fail *fail)
{
	pfn_t pfn;

	if (!range_ok(mem, start, nr))
		return mm_fail(fail, start, WHY_RANGE, -EINVAL);
	*zone = zone_of(mem, start);
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) == PB_HOLE)
			return mm_fail(fail, pfn, WHY_HOLE, -EINVAL);
		if (pb->zone != (*zone)->id)
			return mm_fail(fail, pfn, WHY_ZONES, -EINVAL);
	}
	return 0;
}
