/* SPDX-License-Identifier: MIT */
/*
 * title: the round of a disable is made when the lock has been given back
 * layer: explorer
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	bool first;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth >= 65535) {
		rounds_unlock(mem);
		return -EOVERFLOW;
	}
	first = zone->pcp_depth == 0;
	WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	rounds_unlock(mem);
	if (first) {
		cost->ipis += (unsigned)drain_forced(mem, pcp_refresh_zone_local);
		cost->rounds++;
	}
	return 0;
}
