/* SPDX-License-Identifier: MIT */
/*
 * title: isolated pages of a stack are given back as a batch of the buddy allocator
 * file: mm/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i,
		         order = index_order(i / NR_CACHED_TYPES);
		unsigned count = stack_count(&pcp->stack[stack]), from = 0, to = 0, nr;
		struct page *some[32];

		zone_lock(zone);
		while (from < count) {
			for (nr = 0; from < count && nr < ARRAY_SIZE(some); from++) {
				struct page *page = pcp->stack[stack].slot[from];
				pfn_t pfn = page_to_pfn_in(mem, page);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					some[nr++] = page;
				else
					pcp->stack[stack].slot[to++] = page;
			}
			if (nr)
				buddy_give_batch(
				    zone, some, nr, order, PAGE_WORD(0, PG_PCP, order));
		}
		stack_set_count(&pcp->stack[stack], to);
		zone_unlock(zone);
	}
}
