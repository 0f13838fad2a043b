/* SPDX-License-Identifier: MIT */
/*
 * title: the whole chunk goes offline in one hold of the zone lock
 * layer: explorer
 * file: mm/hotplug/offline.c
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range) REQUIRES(mem_hotplug_class)
{
	struct zone *zone = op->zone;
	irqflags_t flags = zone_lock_irqsave(zone);
	pfn_t pfn;

	zone_add_pages(zone, range.start - range.end, range.start - range.end);
	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES)
		pageblock_set_offline(zone, pfn);
	zone_unlock_irqrestore(zone, flags);
	zone_set_watermarks(zone);
}
