/* SPDX-License-Identifier: MIT */
/*
 * title: an enable checks the depth before it has the lock: two of them take it below 0
 * layer: explorer
 * file: mm/core/drain.c
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;

	if (READ_ONCE(zone->pcp_depth) == 0) {
		MM_EVENT(mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	rounds_lock(mem);
	store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	rounds_unlock(mem);
	return 0;
}
