/* SPDX-License-Identifier: MIT */
/*
 * name: undo_in_one_zone
 * title: an undo holds the lock of the first pageblock's zone for all of the range
 * layer: model
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	struct zone *zone;
	irqflags_t flags;
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	zone = zone_of(mem, start);
	flags = zone_lock_irqsave(zone);
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		if (pageblock_isolated(pageblock_of(mem, pfn))) {
			pageblock_set_isolated(zone, pfn, false);
			MM_EVENT(mem, ISO_UNDONE);
		}
	}
	zone_unlock_irqrestore(zone, flags);
}

/*
 * name: walks_what_changes
 * title: the last block takes the place of the one given back, and is not looked at itself
 * layer: model
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		struct pcp_stack *stack = &pcp->stack[stacks_of(zone->id) + i];
		struct page **at, **top = stack->top;

		zone_lock(zone);
		for (at = stack->slot; at < top; at++) {
			pfn_t pfn = page_to_pfn_in(mem, *at);

			if (!pageblock_isolated(pageblock_of(mem, pfn)))
				continue;
			buddy_free(zone, pfn, index_order(i / NR_CACHED_TYPES));
			*at = *--top;
		}
		zone_unlock(zone);
		WRITE_ONCE(stack->top, top);
	}
}
