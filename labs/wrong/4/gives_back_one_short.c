/* SPDX-License-Identifier: MIT */
/*
 * title: the last of the blocks to give back is dropped from the stack, and nowhere else
 * layer: model
 * file: mm/pcp.c
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct page **slot = pcp->stack[stack].slot;
	unsigned count = stack_count(&pcp->stack[stack]), i;

	ASSERT_ZONE_LOCKED(zone);
	for (i = 0; i + 1 < n; i++)
		buddy_free(zone, page_to_pfn_in(zone->mem, slot[i]), order);
	for (i = n; i < count; i++)
		slot[i - n] = slot[i];
	stack_set_count(&pcp->stack[stack], (count - n));
}
