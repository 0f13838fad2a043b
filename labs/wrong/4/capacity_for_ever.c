/* SPDX-License-Identifier: MIT */
/*
 * title: a capacity that was set once is not lowered again
 * layer: model
 * file: mm/core/pcp.c
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned limit = READ_ONCE(zone->pcp_limit[stack % STACKS_PER_ZONE]);
	struct pcp_stack *s = &pcp->stack[stack];
	unsigned capacity = stack_capacity(s);

	if (!s->slot && limit)
		pcp_give_slots(zone, pcp, stack);
	if (capacity < limit)
		stack_set_capacity(s, limit);
	return load_acquire(&zone->pcp_depth) ? 0 : stack_capacity(s);
}
