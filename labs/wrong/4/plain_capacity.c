/* SPDX-License-Identifier: MIT */
/*
 * title: a capacity, which other CPUs read without a lock, is stored without WRITE_ONCE
 * layer: explorer
 * file: mm/core/pcp.c
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned limit = READ_ONCE(zone->pcp_limit[stack % STACKS_PER_ZONE]);
	unsigned capacity = load_acquire(&zone->pcp_depth) ? 0 : limit;
	struct pcp_stack *s = &pcp->stack[stack];

	if (!s->slot && capacity)
		pcp_give_slots(zone, pcp, stack);
	s->limit = s->slot + capacity;
	return capacity;
}
