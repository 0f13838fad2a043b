/* SPDX-License-Identifier: MIT */
/*
 * title: the count goes to 0 before the pages are with the buddy: who reads it makes no round
 * layer: explorer
 * file: mm/pcp.c
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, at;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i, count = stack_count(&pcp->stack[stack]);
		unsigned order = index_order(i / NR_CACHED_TYPES);

		stack_set_count(&pcp->stack[stack], 0);
		if (!count)
			continue;
		zone_lock(zone);
		for (at = 0; at < count; at++)
			buddy_free(zone, page_to_pfn_in(zone->mem, pcp->stack[stack].slot[at]), order);
		zone_unlock(zone);
	}
}
