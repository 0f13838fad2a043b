/* SPDX-License-Identifier: MIT */
/*
 * name: gives_back_then_sets
 * title: capacities are set after the blocks above them are back, and all in one lock hold
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

/*
 * name: one_by_one
 * title: blocks are given back one at a time; drains go from the largest order down
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];
	struct page **at;

	ASSERT_ZONE_LOCKED(zone);
	for (at = s->slot; at < s->slot + n; at++)
		buddy_free(zone, page_to_pfn_in(zone->mem, *at), order);
	for (; at < s->top; at++)
		at[-(long)n] = *at;
	WRITE_ONCE(s->top, s->top - n);
}

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = NR_CACHED_ORDERS * NR_CACHED_TYPES; i-- > 0;) {
		unsigned stack = stacks_of(zone->id) + i;

		while (stack_count(&pcp->stack[stack])) {
			zone_lock(zone);
			pcp_give_back(zone, pcp, stack, 1);
			zone_unlock(zone);
			MM_EVENT(zone->mem, PCP_DRAINED);
		}
	}
}
