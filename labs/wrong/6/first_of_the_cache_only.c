/* SPDX-License-Identifier: MIT */
/*
 * title: of each stack only the newest page is looked at for the round of precise
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
		struct page **top = stack->top;

		zone_lock(zone);
		for (; top > stack->slot; top--) {
			pfn_t pfn = page_to_pfn_in(mem, top[-1]);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				break;
			buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
		}
		zone_unlock(zone);
		WRITE_ONCE(stack->top, top);
	}
}
