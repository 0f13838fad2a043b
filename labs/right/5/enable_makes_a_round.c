/* SPDX-License-Identifier: MIT */
/*
 * title: the last enable makes a round, so that all CPUs have their capacities back as it returns
 * file: mm/core/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;
	int err = 0;

	rounds_lock(mem);
	if (zone->pcp_depth == 0) {
		MM_EVENT(mem, PCP_UNBALANCED);
		err = -EINVAL;
	} else {
		store_release(&zone->pcp_depth, zone->pcp_depth - 1);
		if (zone->pcp_depth == 0)
			refresh_round(mem, zone);
	}
	rounds_unlock(mem);
	return err;
}
