/* SPDX-License-Identifier: MIT */
/*
 * title: a pageblock that comes back is present, and not managed
 * layer: model
 * file: mm/hotplug/offline.c
 */

void block_go_online(struct zone *zone, pfn_t pfn)
{
	pageblock_set_state(zone, pfn, PB_ONLINE);
	zone->present += PAGEBLOCK_PAGES;
	if (pageblock_of(zone->mem, pfn)->nr_poisoned)
		poison_unpack_block(zone, pfn);
	else
		buddy_block_online(zone, pfn);
}
