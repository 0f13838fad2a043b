/* SPDX-License-Identifier: MIT */
/*
 * title: capacities are set after the blocks above them are back, and all in one lock hold
 * file: mm/core/pcp.c
 */

static unsigned capacity_now(const struct zone *zone, unsigned in_zone)
{
	if (load_acquire(&zone->pcp_depth) > 0)
		return 0;
	return READ_ONCE(zone->pcp_capacity[in_zone / NR_CACHED_TYPES][in_zone % NR_CACHED_TYPES]);
}

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned capacity = capacity_now(zone, stack % STACKS_PER_ZONE);
	struct pcp_stack *s = &pcp->stack[stack];

	if (capacity && !s->slot)
		pcp_give_slots(zone, pcp, stack);
	if (stack_capacity(s) != capacity)
		stack_set_capacity(s, capacity);
	return capacity;
}

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	zone_lock(zone);
	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i, capacity = capacity_now(zone, i);
		unsigned count = stack_count(&pcp->stack[stack]);

		if (count > capacity) {
			pcp_give_back(zone, pcp, stack, count - capacity);
			MM_EVENT_ADD(zone->mem, PCP_DRAINED, count - capacity);
		}
		pcp_update_capacity(zone, pcp, stack);
	}
	zone_unlock(zone);
}
