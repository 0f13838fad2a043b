/* SPDX-License-Identifier: MIT */
/*
 * title: an undo takes the lock with interrupts on
 * layer: explorer
 * file: mm/hotplug/page_isolation.c
 */

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	for (pfn = start; pfn < start + nr; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_of(mem, pfn);

		zone_lock(zone);
		if (pageblock_isolated(pageblock_of(mem, pfn)))
			pageblock_set_isolated(zone, pfn, false);
		zone_unlock(zone);
	}
}
