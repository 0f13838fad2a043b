/* SPDX-License-Identifier: MIT */
/*
 * title: the watermarks are still those of the larger zone
 * layer: contract
 * file: mm/hotplug/offline.c
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range)
{
	struct zone *zone = op->zone;
	pfn_t pfn;

	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		zone->present -= PAGEBLOCK_PAGES;
		zone->managed -= PAGEBLOCK_PAGES;
		pageblock_set_offline(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
}
