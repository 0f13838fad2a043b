/* SPDX-License-Identifier: MIT */
/*
 * title: the caches are on again when the last but one enables them
 * layer: model
 * file: mm/core/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;
	int err = -EINVAL;

	rounds_lock(mem);
	if (zone->pcp_depth > 2) {
		store_release(&zone->pcp_depth, zone->pcp_depth - 1);
		err = 0;
	} else if (zone->pcp_depth > 0) {
		store_release(&zone->pcp_depth, 0u);
		err = 0;
	} else {
		MM_EVENT(mem, PCP_UNBALANCED);
	}
	rounds_unlock(mem);
	return err;
}
