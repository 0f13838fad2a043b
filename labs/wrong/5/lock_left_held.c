/* SPDX-License-Identifier: MIT */
/*
 * title: an unbalanced enable returns with the lock held
 * layer: model
 * file: mm/core/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;

	rounds_lock(mem);
	if (zone->pcp_depth == 0) {
		MM_EVENT(mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	rounds_unlock(mem);
	return 0;
}
