/* SPDX-License-Identifier: MIT */
/*
 * title: the count goes to 0 before the pages are with the buddy: who reads it makes no round
 * layer: explorer
 * file: mm/core/pcp.c
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	struct page **at;
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **top = stack->top;

		stack_set_count(stack, 0);
		if (top == stack->slot)
			continue;
		zone_lock(zone);
		for (at = stack->slot; at < top; at++)
			buddy_free(
			    zone, page_to_pfn_in(zone->mem, *at), index_order(i / NR_CACHED_TYPES));
		zone_unlock(zone);
	}
}
