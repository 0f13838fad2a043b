/* SPDX-License-Identifier: MIT */
/*
 * title: pages are given back without the zone lock: interrupts are off, after all
 * layer: explorer
 * file: mm/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i, at, to = 0;

		for (at = 0; at < pcp->count[stack]; at++) {
			struct page *page = pcp->slot[stack][at];
			pfn_t pfn = page_to_pfn_in(zone->mem, page);

			if (pageblock_isolated(pageblock_of(zone->mem, pfn)))
				buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
			else
				pcp->slot[stack][to++] = page;
		}
		WRITE_ONCE(pcp->count[stack], (u16)to);
	}
}
