/* SPDX-License-Identifier: MIT */
/*
 * title: the round first, the depth after it: a CPU that refills meanwhile caches again
 * layer: explorer
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth >= 65535) {
		rounds_unlock(mem);
		return -EOVERFLOW;
	}
	if (zone->pcp_depth == 0) {
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
		MM_EVENT(mem, DRAIN_FORCED);
		MM_EVENT(mem, PCP_DISABLE);
	}
	WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	rounds_unlock(mem);
	return 0;
}
