/* SPDX-License-Identifier: MIT */
/*
 * title: an undo ends at the first pageblock that is not isolated
 * layer: model
 * file: mm/hotplug/page_isolation.c
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);
		bool was = pageblock_isolated(pageblock_of(mem, pfn));

		if (was) {
			pageblock_set_isolated(zone, pfn, false);
			MM_EVENT(mem, ISO_UNDONE);
		}
		zone_unlock_irqrestore(zone, flags);
		if (!was)
			break;
	}
}
