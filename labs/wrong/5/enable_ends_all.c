/* SPDX-License-Identifier: MIT */
/*
 * title: the first enable switches the caches on, however often they were switched off
 * layer: model
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
		store_release(&zone->pcp_depth, 0u);
	}
	rounds_unlock(mem);
	return err;
}
