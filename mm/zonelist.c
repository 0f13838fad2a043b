/* SPDX-License-Identifier: MIT */
/*
 * zonelist.c: an allocation tries one zone after the other, nearest first.
 *
 * Owns:       nothing; it reads the zonelists that zone.c builds.
 * Locks:      none of its own.
 * Invariants: each zone that is found low wakes its node's reclaim thread, whether it had a page or not.
 * Tests:      tests/test_play_alloc.c, tests/test_zone.c, tests/test_nodes.c, tests/test_reclaim.c.
 */
#include "mm/alloc.h"
#include "mm/pcp.h"
#include "mm/reclaim_ask.h"

struct page *alloc_from_zonelist(struct memory *mem, gfp_t gfp, unsigned order)
{
	unsigned cpu_node = arch_cpu_node(arch_cpu_id()), i;
	const struct node *node = &mem->nodes[cpu_node < mem->nr_nodes ? cpu_node : 0];
	enum zone_kind kind = gfp_kind(gfp);

	for (i = 0; i < load_acquire(&node->nr_zones[kind]); i++) {
		struct zone *zone = &mem->zones[load_acquire(&node->zonelist[kind][i])];
		struct page *page;

		if ((gfp & GFP_THISNODE) && zone->node != node->id)
			continue;
		if (unlikely(READ_ONCE(zone->futile)))
			reclaim_reconsider(zone);
		page = pcp_alloc_zone(zone, gfp, order, zone->kind != kind);
		if (zone_low(zone))
			reclaim_wake(zone);
		if (page)
			return page;
	}
	return NULL;
}
