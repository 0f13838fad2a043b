/* SPDX-License-Identifier: MIT */
/*
 * title: an undo takes the lock for each pageblock, from the last to the first
 * file: mm/page_isolation.c
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start + nr; pfn > start; pfn -= PAGEBLOCK_PAGES) {
		pfn_t block = pfn - PAGEBLOCK_PAGES;
		struct zone *zone = zone_of(mem, block);
		irqflags_t flags = zone_lock_irqsave(zone);

		if (pageblock_isolated(pageblock_of(mem, block)))
			pageblock_set_isolated(zone, block, false);
		zone_unlock_irqrestore(zone, flags);
	}
}
