/* SPDX-License-Identifier: MIT */
/*
 * title: isolated pages are moved to the bottom of their stack, and given back as its oldest
 * file: mm/hotplug/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned i, from, n;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		unsigned count = stack_count(&pcp->stack[stack]);
		struct page **slot = pcp->stack[stack].slot;

		for (from = 0, n = 0; from < count; from++) {
			struct page *page = slot[from];

			if (!pageblock_isolated(pageblock_of(mem, page_to_pfn_in(mem, page))))
				continue;
			memmove(slot + n + 1, slot + n, (from - n) * sizeof(*slot));
			slot[n++] = page;
		}
		if (n == 0)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, n);
		zone_unlock(zone);
		MM_EVENT_ADD(mem, PCP_DRAINED, n);
	}
}
