/* SPDX-License-Identifier: MIT */
/*
 * title: the blocks that stay are counted, but not moved together
 * layer: model
 * file: mm/hotplug/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **from;
		unsigned given = 0;

		zone_lock(zone);
		for (from = stack->slot; from < stack->top; from++) {
			pfn_t pfn = page_to_pfn_in(mem, *from);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				continue;
			buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
			given++;
		}
		zone_unlock(zone);
		WRITE_ONCE(stack->top, stack->top - given);
	}
}
