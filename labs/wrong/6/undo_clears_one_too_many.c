/* SPDX-License-Identifier: MIT */
/*
 * title: an undo goes on to the pageblock behind the range
 * layer: contract
 * file: mm/page_isolation.c
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start; pfn <= start + nr && pfn < mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);

		if (pageblock_isolated(pageblock_of(mem, pfn)))
			pageblock_set_isolated(zone, pfn, false);
		zone_unlock_irqrestore(zone, flags);
	}
}
