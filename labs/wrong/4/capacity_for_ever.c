/* SPDX-License-Identifier: MIT */
/*
 * title: a capacity that was set once is not lowered again
 * layer: model
 * file: mm/pcp.c
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	u16 limit = READ_ONCE(zone->pcp_capacity[0][stack % STACKS_PER_ZONE]);

	if (stack_capacity(&pcp->stack[stack]) < limit)
		stack_set_capacity(&pcp->stack[stack], limit);
	return load_acquire(&zone->pcp_depth) ? 0 : stack_capacity(&pcp->stack[stack]);
}
