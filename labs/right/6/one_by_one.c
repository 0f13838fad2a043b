/* SPDX-License-Identifier: MIT */
/*
 * title: the round of precise gives pages back one by one, each under a lock hold of its own
 * file: mm/hotplug/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	struct page **at;
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		unsigned order = index_order(i / NR_CACHED_TYPES);

		for (at = stack->slot; at < stack->top;) {
			pfn_t pfn = page_to_pfn_in(mem, *at);

			if (!pageblock_isolated(pageblock_of(mem, pfn))) {
				at++;
				continue;
			}
			*at = stack->top[-1];
			zone_lock(zone);
			buddy_free(zone, pfn, order);
			WRITE_ONCE(stack->top, stack->top - 1);
			zone_unlock(zone);
		}
	}
}
