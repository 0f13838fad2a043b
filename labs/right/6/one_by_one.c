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
		struct page **slot = pcp->stack[stack].slot;

		for (from = 0; from < stack_count(&pcp->stack[stack]);) {
			pfn_t pfn = page_to_pfn_in(mem, slot[from]);

			if (!pageblock_isolated(pageblock_of(mem, pfn))) {
				from++;
				continue;
			}
			slot[from] = slot[stack_count(&pcp->stack[stack]) - 1];
			zone_lock(zone);
			buddy_free(zone, pfn, order);
			stack_set_count(&pcp->stack[stack], (stack_count(&pcp->stack[stack]) - 1));
			zone_unlock(zone);
		}
	}
}
