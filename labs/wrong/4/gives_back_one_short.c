/* SPDX-License-Identifier: MIT */
/*
 * title: the last of the blocks to give back is dropped from the stack, and nowhere else
 * layer: model
 * file: mm/core/pcp.c
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];
	unsigned i;

	ASSERT_ZONE_LOCKED(zone);
	for (i = 0; i + 1 < n; i++)
		buddy_free(zone, page_to_pfn_in(zone->mem, s->slot[i]), order);
	memmove(s->slot, s->slot + n, (stack_count(s) - n) * sizeof(*s->slot));
	WRITE_ONCE(s->top, s->top - n);
}
