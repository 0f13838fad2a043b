/* SPDX-License-Identifier: MIT */
/*
 * title: the last block takes the place of the one given back, and is not looked at itself
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
		struct page **at, **top = stack->top;

		zone_lock(zone);
		for (at = stack->slot; at < top; at++) {
			pfn_t pfn = page_to_pfn_in(mem, *at);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				continue;
			buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
			*at = *--top;
		}
		zone_unlock(zone);
		WRITE_ONCE(stack->top, top);
	}
}
