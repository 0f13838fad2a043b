/* SPDX-License-Identifier: MIT */
/*
 * title: a CPU that caches one page of an isolated pageblock gives back all that it caches
 * file: mm/hotplug/page_isolation.c
 */

static void give_all(struct zone *zone, struct pcp_stack *stack, unsigned order)
{
	struct page **at;

	zone_lock(zone);
	for (at = stack->slot; at < stack->top; at++)
		buddy_free(zone, page_to_pfn_in(zone->mem, *at), order);
	zone_unlock(zone);
	stack_set_count(stack, 0);
}

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++)
		give_all(
		    zone, &pcp->stack[stacks_of(zone->id) + i], index_order(i / NR_CACHED_TYPES));
}
