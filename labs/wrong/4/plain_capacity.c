/* SPDX-License-Identifier: MIT */
/*
 * title: a capacity, which other CPUs read without a lock, is stored without WRITE_ONCE
 * layer: explorer
 * file: mm/pcp.c
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	if (load_acquire(&zone->pcp_depth))
		stack_set_capacity(&pcp->stack[stack], 0);
	else
		stack_set_capacity(&pcp->stack[stack], READ_ONCE(zone->pcp_limit[stack % STACKS_PER_ZONE]));
	return stack_capacity(&pcp->stack[stack]);
}
