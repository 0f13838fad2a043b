/* SPDX-License-Identifier: MIT */
/*
 * title: the round of precise gives pages back one by one, each under a lock hold of its own
 * file: mm/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i, from;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i;
		unsigned order = index_order(i / NR_CACHED_TYPES);
		struct page **slot = pcp->slot[stack];

		for (from = 0; from < pcp->count[stack];) {
			pfn_t pfn = page_to_pfn_in(mem, slot[from]);

			if (!pageblock_isolated(pageblock_of(mem, pfn))) {
				from++;
				continue;
			}
			slot[from] = slot[pcp->count[stack] - 1];
			zone_lock(zone);
			buddy_free(zone, pfn, order);
			WRITE_ONCE(pcp->count[stack], (u16)(pcp->count[stack] - 1));
			zone_unlock(zone);
		}
	}
}
