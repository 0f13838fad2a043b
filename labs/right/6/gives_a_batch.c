/* SPDX-License-Identifier: MIT */
/*
 * title: isolated pages of a stack are given back as a batch of the buddy allocator
 * file: mm/hotplug/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **from = stack->slot, **to = from, *some[32];
		unsigned order = index_order(i / NR_CACHED_TYPES), nr;

		zone_lock(zone);
		while (from < stack->top) {
			for (nr = 0; from < stack->top && nr < ARRAY_SIZE(some); from++) {
				pfn_t pfn = page_to_pfn_in(mem, *from);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					some[nr++] = *from;
				else
					*to++ = *from;
			}
			if (nr)
				buddy_give_batch(
				    zone, some, nr, order, PAGE_WORD(0, PG_PCP, order));
		}
		WRITE_ONCE(stack->top, to);
		zone_unlock(zone);
	}
}
