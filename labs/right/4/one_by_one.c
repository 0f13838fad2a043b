/* SPDX-License-Identifier: MIT */
/*
 * title: blocks are given back one at a time; drains go from the largest order down
 * file: mm/pcp.c
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct page **slot = pcp->stack[stack].slot;
	unsigned count = stack_count(&pcp->stack[stack]), i;

	ASSERT_ZONE_LOCKED(zone);
	for (i = 0; i < n; i++)
		buddy_free(zone, page_to_pfn_in(zone->mem, slot[i]), order);
	for (i = n; i < count; i++)
		slot[i - n] = slot[i];
	stack_set_count(&pcp->stack[stack], (count - n));
}

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = NR_CACHED_ORDERS * NR_CACHED_TYPES; i-- > 0;) {
		unsigned stack = zone->id * STACKS_PER_ZONE + i;

		while (stack_count(&pcp->stack[stack])) {
			zone_lock(zone);
			pcp_give_back(zone, pcp, stack, 1);
			zone_unlock(zone);
		}
	}
}
