/* SPDX-License-Identifier: MIT */
/*
 * title: an undo holds the lock of the first pageblock's zone for all of the range
 * layer: model
 * file: mm/hotplug/page_isolation.c
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
