/* SPDX-License-Identifier: MIT */
/*
 * title: a stack that gets its slots gets its capacity, too, but the result is 0
 * layer: contract
 * file: mm/core/pcp.c
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned capacity = load_acquire(&zone->pcp_depth)
	    ? 0
	    : READ_ONCE(zone->pcp_limit[stack % STACKS_PER_ZONE]);
	struct pcp_stack *s = &pcp->stack[stack];
	unsigned had = s->slot ? capacity : 0;

	if (!s->slot && capacity)
		pcp_give_slots(zone, pcp, stack);
	stack_set_capacity(s, capacity);
	return had;
}
