/* SPDX-License-Identifier: MIT */
/*
 * title: only the free pages of a pageblock leave the counts: retired ones stay managed
 * layer: explorer
 * file: mm/hotplug/offline.c
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range)
{
	struct zone *zone = op->zone;
	pfn_t pfn;

	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);
		unsigned free = pageblock_of(op->mem, pfn)->nr_free;

		zone->present -= PAGEBLOCK_PAGES;
		zone->managed -= free;
		pageblock_set_offline(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
	zone_set_watermarks(zone);
}
