/* SPDX-License-Identifier: MIT */
/*
 * name: capacity_before_slots
 * title: a stack's first capacity is counted from slots that it gets only afterwards
 * layer: model
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned limit = READ_ONCE(zone->pcp_limit[stack % STACKS_PER_ZONE]);
	unsigned capacity = load_acquire(&zone->pcp_depth) ? 0 : limit;
	struct pcp_stack *s = &pcp->stack[stack];

	stack_set_capacity(s, capacity);
	if (!s->slot && capacity)
		pcp_give_slots(zone, pcp, stack);
	return capacity;
}

/*
 * name: capacity_for_ever
 * title: a capacity that was set once is not lowered again
 * layer: model
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

/*
 * name: capacity_without_slots
 * title: a stack gets a capacity but no slots: its first page is stored through NULL
 * layer: model
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	unsigned limit = READ_ONCE(zone->pcp_limit[stack % STACKS_PER_ZONE]);
	unsigned capacity = load_acquire(&zone->pcp_depth) ? 0 : limit;
	struct pcp_stack *s = &pcp->stack[stack];

	stack_set_capacity(s, capacity);
	return capacity;
}

/*
 * name: count_before_pages
 * title: the count goes to 0 before the pages are with the buddy: who reads it makes no round
 * layer: explorer
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	struct page **at;
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **top = stack->top;

		stack_set_count(stack, 0);
		if (top == stack->slot)
			continue;
		zone_lock(zone);
		for (at = stack->slot; at < top; at++)
			buddy_free(
			    zone, page_to_pfn_in(zone->mem, *at), index_order(i / NR_CACHED_TYPES));
		zone_unlock(zone);
	}
}

/*
 * name: drained_counts_stacks
 * title: the event PCP_DRAINED counts stacks, not blocks
 * layer: contract
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i, n = stack_count(&pcp->stack[stack]);

		if (!n)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, n);
		zone_unlock(zone);
		MM_EVENT(zone->mem, PCP_DRAINED);
	}
}

/*
 * name: empties_then_forgets
 * title: what is above the capacity is given back by count, the capacity still being the old one
 * layer: model
 */

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		const struct pcp_stack *s = &pcp->stack[stack];

		if (s->top > s->limit) {
			zone_lock(zone);
			pcp_give_back(zone, pcp, stack, (unsigned)(s->top - s->limit));
			zone_unlock(zone);
		}
		pcp_update_capacity(zone, pcp, stack);
	}
}

/*
 * name: first_capacity_is_not_said
 * title: a stack that gets its slots gets its capacity, too, but the result is 0
 * layer: contract
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

/*
 * name: gives_back_one_short
 * title: the last of the blocks to give back is dropped from the stack, and nowhere else
 * layer: model
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];
	unsigned i;

	ASSERT_ZONE_LOCKED(zone);
	for (i = 0; i + 1 < n; i++)
		buddy_free(zone, page_to_pfn_in(zone->mem, s->slot[i]), order);
	memmove(s->slot, s->slot + n, (stack_count(s) - n) * sizeof(*s->slot));
	WRITE_ONCE(s->top, s->top - n);
}

/*
 * name: gives_back_the_newest
 * title: the newest blocks are given back, which the next allocation would have wanted
 * layer: contract
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];

	ASSERT_ZONE_LOCKED(zone);
	buddy_give_batch(zone, s->top - n, n, order, PAGE_WORD(0, PG_PCP, order));
	WRITE_ONCE(s->top, s->top - n);
}

/*
 * name: largest_is_not_drained
 * title: a drain leaves out the stacks of the largest order
 * layer: contract
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, n;

	for (i = 0; i < NR_SMALL_CACHED * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;

		n = stack_count(&pcp->stack[stack]);
		if (!n)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, n);
		zone_unlock(zone);
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, n);
	}
}

/*
 * name: largest_keeps_its_blocks
 * title: a refresh sets all capacities, and gives back blocks of small orders only
 * layer: contract
 */

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);
		unsigned count = stack_count(&pcp->stack[stack]);

		if (i / NR_CACHED_TYPES >= NR_SMALL_CACHED || count <= capacity)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, count - capacity);
		zone_unlock(zone);
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, count - capacity);
	}
}

/*
 * name: one_hold_for_the_zone
 * title: one hold of the zone lock covers all stacks of the zone
 * layer: contract
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, n = 0;

	zone_lock(zone);
	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i, count = stack_count(&pcp->stack[stack]);

		n += count;
		if (count)
			pcp_give_back(zone, pcp, stack, count);
	}
	zone_unlock(zone);
	MM_EVENT_ADD(zone->mem, PCP_DRAINED, n);
}

/*
 * name: plain_capacity
 * title: a capacity, which other CPUs read without a lock, is stored without WRITE_ONCE
 * layer: explorer
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

/*
 * name: slots_each_time
 * title: a stack gets its slots whenever its capacity is set, which forgets the blocks in it
 * layer: model
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

/*
 * name: spills_are_drained
 * title: the event PCP_DRAINED is counted where blocks are given back, also by a spill
 * layer: contract
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

/*
 * name: types_are_forgotten
 * title: a drain walks the orders, and of each only the first type
 * layer: model
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned order;

	for (order = 0; order < NR_CACHED_ORDERS; order++) {
		unsigned stack = zone_stack(zone, order, MT_UNMOVABLE);

		if (pcp->stack[stack].top == pcp->stack[stack].slot)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, stack_count(&pcp->stack[stack]));
		zone_unlock(zone);
	}
}

/*
 * name: count_first
 * title: the count is lowered before the blocks are given back
 * layer: explorer
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	struct pcp_stack *s = &pcp->stack[stack];
	unsigned order = index_order((stack - stacks_of(zone->id)) / NR_CACHED_TYPES);
	unsigned left = stack_count(s) - n, i;

	stack_set_count(s, left);
	buddy_give_batch(zone, s->slot, n, order, PAGE_WORD(0, PG_PCP, order));
	for (i = 0; i < left; i++)
		s->slot[i] = s->slot[n + i];
	store_barrier();
	stack_set_count(s, left);
}
