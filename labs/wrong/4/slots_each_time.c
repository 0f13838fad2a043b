/* SPDX-License-Identifier: MIT */
/*
 * title: a stack gets its slots whenever its capacity is set, which forgets the blocks in it
 * layer: model
 * file: mm/core/pcp.c
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned limit = READ_ONCE(zone->pcp_limit[stack % STACKS_PER_ZONE]);
	unsigned capacity = load_acquire(&zone->pcp_depth) ? 0 : limit;
	struct pcp_stack *s = &pcp->stack[stack];

	if (capacity)
		pcp_give_slots(zone, pcp, stack);
	stack_set_capacity(s, capacity);
	return capacity;
}
