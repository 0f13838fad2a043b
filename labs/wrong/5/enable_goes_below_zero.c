/* SPDX-License-Identifier: MIT */
/*
 * title: an enable without a disable is not looked for: the depth wraps around
 * layer: contract
 * file: mm/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	rounds_lock(zone->mem);
	store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	rounds_unlock(zone->mem);
	return 0;
}
