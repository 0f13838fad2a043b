/* SPDX-License-Identifier: MIT */
/*
 * title: blocks are given back with the index of their order: wrong for whole pageblocks
 * layer: contract
 * file: mm/hotplug/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned index, type;

	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			struct pcp_stack *stack =
			    &pcp->stack[zone_stack(zone, index, (enum migratetype)type)];
			struct page **from = stack->slot, **kept = from;

			zone_lock(zone);
			for (; from < stack->top; from++) {
				pfn_t pfn = page_to_pfn_in(mem, *from);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					buddy_free(zone, pfn, index);
				else
					*kept++ = *from;
			}
			zone_unlock(zone);
			WRITE_ONCE(stack->top, kept);
		}
	}
}
