/* SPDX-License-Identifier: MIT */
/*
 * title: the last enable leaves the depth as it is: the caches stay off
 * layer: contract
 * file: mm/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	int err = 0;

	rounds_lock(zone->mem);
	if (zone->pcp_depth == 0)
		err = -EINVAL;
	else if (zone->pcp_depth > 1)
		store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	rounds_unlock(zone->mem);
	return err;
}
