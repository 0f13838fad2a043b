/* SPDX-License-Identifier: MIT */
/*
 * title: an undo leaves the last pageblock of the range isolated
 * layer: model
 * file: mm/hotplug/page_isolation.c
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn, end = start + nr - PAGEBLOCK_PAGES;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);

		if (pageblock_isolated(pageblock_of(mem, pfn))) {
			pageblock_set_isolated(zone, pfn, false);
			MM_EVENT(mem, ISO_UNDONE);
		}
		zone_unlock_irqrestore(zone, flags);
	}
}
