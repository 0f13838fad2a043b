/* SPDX-License-Identifier: MIT */
/*
 * title: each chunk takes the pages of all of the operation's range off the zone's counts
 * layer: model
 * file: mm/hotplug/offline.c
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range)
{
	struct zone *zone = op->zone;
	irqflags_t flags = zone_lock_irqsave(zone);
	pfn_t pfn;

	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES) {
		pageblock_set_offline(zone, pfn);
		zone->present -= range_pages(range);
		zone->managed -= range_pages(range);
	}
	zone_unlock_irqrestore(zone, flags);
	zone_set_watermarks(zone);
}
