/* SPDX-License-Identifier: MIT */
/*
 * title: isolated pages of a stack are collected, and given back together
 * file: mm/page_isolation.c
 */

static void collect(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned order)
{
	struct memory *mem = zone->mem;
	unsigned n = pcp->count[stack], good = 0, bad = 0, i;
	struct page *out[64];

	for (i = 0; i < n; i++) {
		struct page *page = pcp->slot[stack][i];

		if (bad < 64 && pageblock_isolated(pageblock_of(mem, page_to_pfn_in(mem, page))))
			out[bad++] = page;
		else
			pcp->slot[stack][good++] = page;
	}
	if (!bad)
		return;
	zone_lock(zone);
	WRITE_ONCE(pcp->count[stack], (u16)good);
	for (i = 0; i < bad; i++)
		buddy_free(zone, page_to_pfn_in(mem, out[i]), order);
	zone_unlock(zone);
	if (bad == 64)
		collect(zone, pcp, stack, order);
}

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++)
		collect(zone, pcp, zone->id * STACKS_PER_ZONE + i, index_order(i / NR_CACHED_TYPES));
}
