/* SPDX-License-Identifier: MIT */
/*
 * title: pages that are given back stay counted in the stack
 * layer: model
 * file: mm/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, at;

	zone_lock(zone);
	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i;

		for (at = 0; at < pcp->count[stack]; at++) {
			pfn_t pfn = page_to_pfn_in(zone->mem, pcp->slot[stack][at]);

			if (pageblock_isolated(pageblock_of(zone->mem, pfn)))
				buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
		}
	}
	zone_unlock(zone);
}
