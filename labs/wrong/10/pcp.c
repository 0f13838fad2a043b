/* SPDX-License-Identifier: MIT */
/*
 * name: moves_by_a_loop
 * title: what is left of a stack moves block by block
 * layer: perf
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order((stack - stacks_of(zone->id)) / NR_CACHED_TYPES), i, left;
	struct pcp_stack *s = &pcp->stack[stack];

	ASSERT_ZONE_LOCKED(zone);
	buddy_give_batch(zone, s->slot, n, order, PAGE_WORD(0, PG_PCP, order));
	store_barrier();
	left = stack_count(s) - n;
	for (i = 0; i < left; i++)
		s->slot[i] = s->slot[i + n];
	stack_set_count(s, left);
}
