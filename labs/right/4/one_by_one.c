/* SPDX-License-Identifier: MIT */
/*
 * title: blocks are given back one at a time; drains go from the largest order down
 * file: mm/core/pcp.c
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];
	struct page **at;

	ASSERT_ZONE_LOCKED(zone);
	for (at = s->slot; at < s->slot + n; at++)
		buddy_free(zone, page_to_pfn_in(zone->mem, *at), order);
	for (; at < s->top; at++)
		at[-(long)n] = *at;
	WRITE_ONCE(s->top, s->top - n);
}

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = NR_CACHED_ORDERS * NR_CACHED_TYPES; i-- > 0;) {
		unsigned stack = stacks_of(zone->id) + i;

		while (stack_count(&pcp->stack[stack])) {
			zone_lock(zone);
			pcp_give_back(zone, pcp, stack, 1);
			zone_unlock(zone);
			MM_EVENT(zone->mem, PCP_DRAINED);
		}
	}
}
