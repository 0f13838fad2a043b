/* SPDX-License-Identifier: MIT */
/*
 * title: blocks are given back with the index of their order: wrong for whole pageblocks
 * layer: contract
 * file: mm/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned index, type, from;

	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			unsigned stack = zone_stack(zone, index, (enum migratetype)type);
			unsigned count = stack_count(&pcp->stack[stack]), kept = 0;
			struct page **slot = pcp->stack[stack].slot;

			zone_lock(zone);
			for (from = 0; from < count; from++) {
				pfn_t pfn = page_to_pfn_in(mem, slot[from]);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					buddy_free(zone, pfn, index);
				else
					slot[kept++] = slot[from];
			}
			zone_unlock(zone);
			stack_set_count(&pcp->stack[stack], kept);
		}
	}
}
