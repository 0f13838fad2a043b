/* SPDX-License-Identifier: MIT */
/*
 * title: the blocks that leave a stack are freed one at a time
 * file: mm/core/pcp.c
 */

void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
{
	unsigned order = index_order((stack - stacks_of(zone->id)) / NR_CACHED_TYPES);
	struct pcp_stack *s = &pcp->stack[stack];
	struct page **at;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(stack_of_zone(zone, stack));
	KASSERT(n <= stack_count(s));
	for (at = s->slot; at < s->slot + n; at++) {
		trace_page(zone->mem, TR_give, page_to_pfn_in(zone->mem, *at), order);
		buddy_free(zone, page_to_pfn_in(zone->mem, *at), order);
	}
	store_barrier(); /* a CPU that reads the new count finds the blocks (drain_unless) */
	memmove(s->slot, s->slot + n, (stack_count(s) - n) * sizeof(*s->slot));
	stack_set_top(s, s->top - n);
}
