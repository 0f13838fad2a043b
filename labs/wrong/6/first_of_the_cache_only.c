/* SPDX-License-Identifier: MIT */
/*
 * title: of each stack only the newest page is looked at for the round of precise
 * layer: model
 * file: mm/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i, count = stack_count(&pcp->stack[stack]);
		unsigned order = index_order(i / NR_CACHED_TYPES);
		struct page **slot = pcp->stack[stack].slot;

		zone_lock(zone);
		while (count) {
			pfn_t pfn = page_to_pfn_in(mem, slot[count - 1]);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				break;
			buddy_free(zone, pfn, order);
			count--;
		}
		zone_unlock(zone);
		stack_set_count(&pcp->stack[stack], count);
	}
}
