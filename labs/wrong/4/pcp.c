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
