/* SPDX-License-Identifier: MIT */
/*
 * title: the event POISON_RETIRED is not counted
 * layer: contract
 * file: mm/core/poison_take.c
 */

void poison_take_free(struct zone *zone, pfn_t pfn)
{
	ASSERT_ZONE_LOCKED(zone);
	sched_point("takeoff.locked");
	buddy_take(zone, pfn, 0);
	page_store_word(pfn_to_page_in(zone->mem, pfn), 0, PAGE_F_HWPOISON);
	cut_around(zone, pfn, 0);
	block_add_poisoned(zone, pfn, 1);
}
