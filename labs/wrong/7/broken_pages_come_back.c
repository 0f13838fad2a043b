/* SPDX-License-Identifier: MIT */
/*
 * title: a pageblock that comes back is free as a whole, its broken pages too
 * layer: model
 * file: mm/hotplug/offline.c
 */

void block_go_online(struct zone *zone, pfn_t pfn)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	pageblock_set_state(zone, pfn, PB_ONLINE);
	zone->present += PAGEBLOCK_PAGES;
	zone->managed += PAGEBLOCK_PAGES;
	pb->nr_poisoned = 0;
	buddy_block_online(zone, pfn);
}
