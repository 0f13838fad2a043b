/* SPDX-License-Identifier: MIT */
/*
 * zonelist.c: the order in which an allocation tries zones.
 *
 * Owns:       struct node's zonelists.
 * Locks:      mem->adding for building them; they are read without a lock.
 * Invariants: a zonelist names each zone that has memory once, nearest node first and, on a node,
 *             highest kind first.  An allocation that finds a zone low wakes the reclaim thread of
 *             the zone's node, whether it got a page or not.
 * Tests:      step_core, play_alloc, zone, nodes, node_order, memory_span, reclaim.
 */
#include "mm/core/pcp.h"

/* Node ids of @mem by distance from @from, nearest first; at equal distance by id from @from on. */
static unsigned nodes_by_distance(const struct memory *mem, unsigned from, u8 *out)
{
	unsigned nr = 0, i;

	for (i = 0; i < mem->nr_nodes; i++) {
		u8 node = (u8)((from + i) % mem->nr_nodes);
		unsigned at = nr++;

		while (at > 0 &&
		    mem->nodes[from].distance[out[at - 1]] > mem->nodes[from].distance[node]) {
			out[at] = out[at - 1];
			at--;
		}
		out[at] = node;
	}
	return nr;
}

/* From the end: each old entry is stored at its new, later place before it is overwritten. */
static void store_zonelist(struct node *node, unsigned kind, const u8 *list, unsigned nr)
{
	unsigned old = READ_ONCE(node->nr_zones[kind]), i;

	KASSERT(nr >= old && nr <= MAX_ZONES);
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

struct page *alloc_from_zonelist(const struct node *node, gfp_t gfp, unsigned order)
{
	struct zone *zone;
	unsigned at;

	for_each_zone_of(node, gfp, zone, at) {
		bool lower = zone->kind != gfp_kind(gfp);
		struct page *page;

		/* At first the reserve stays, since zone_reserved visits all zones. */
		page = pcp_alloc_zone(zone, gfp, order, lower);
		if (!page && lower && !zone_reserved(zone, gfp))
			page = pcp_alloc_zone(zone, gfp, order, false);
		/* wake also clears futile, once the zone has enough again. */
		if ((zone_low(zone) || READ_ONCE(zone->futile)) && zone->mem->reclaim)
			zone->mem->reclaim->wake(zone);
		if (page)
			return page;
	}
	return NULL;
}
