/* SPDX-License-Identifier: MIT */
/*
 * title: the newest blocks are given back, which the next allocation would have wanted
 * layer: contract
 * file: mm/core/pcp.c
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];

	ASSERT_ZONE_LOCKED(zone);
	buddy_give_batch(zone, s->top - n, n, order, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(s->top, s->top - n);
}
