/* SPDX-License-Identifier: MIT */
/*
 * title: the event PCP_DRAINED is counted where blocks are given back, also by a spill
 * layer: contract
 * file: mm/core/pcp.c
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order((stack - stacks_of(zone->id)) / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];

	buddy_give_batch(zone, s->slot, n, order, PAGE_WORD(0, PG_PCP, order));
	store_barrier();
	memmove(s->slot, s->slot + n, (stack_count(s) - n) * sizeof(*s->slot));
	stack_set_top(s, s->top - n);
	MM_EVENT_ADD(zone->mem, PCP_DRAINED, n);
}

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);
		unsigned count = stack_count(&pcp->stack[stack]);

		if (count > capacity) {
			zone_lock(zone);
			pcp_give_back(zone, pcp, stack, count - capacity);
			zone_unlock(zone);
		}
	}
}

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;

		if (stack_count(&pcp->stack[stack])) {
			zone_lock(zone);
			pcp_give_back(zone, pcp, stack, stack_count(&pcp->stack[stack]));
			zone_unlock(zone);
		}
	}
}
