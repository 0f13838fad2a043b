/* SPDX-License-Identifier: MIT */
/*
 * title: the round of precise walks a stack from its bottom, and moves what stays down
 * file: mm/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct memory *mem = zone->mem;
	struct pcp *pcp = this_pcp_slow(mem);
	unsigned type, i;

	for (i = 0; i < NR_CACHED_ORDERS; i++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			unsigned stack = zone->id * STACKS_PER_ZONE + i * NR_CACHED_TYPES + type;
			unsigned count = pcp->count[stack], from, to = 0;

			if (!count)
				continue;
			zone_lock(zone);
			for (from = 0; from < count; from++) {
				struct page *page = pcp->slot[stack][from];
				pfn_t pfn = page_to_pfn_in(mem, page);

				if (pageblock_isolated(pageblock_of(mem, pfn)))
					buddy_free(zone, pfn, index_order(i));
				else
					pcp->slot[stack][to++] = page;
			}
			WRITE_ONCE(pcp->count[stack], (u16)to);
			zone_unlock(zone);
		}
	}
}
