/* SPDX-License-Identifier: MIT */
/*
 * title: a disable that finds the caches off counts itself without the lock, and returns at once
 * layer: explorer
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	unsigned depth = READ_ONCE(zone->pcp_depth);

	if (!may_sleep())
		return -EDEADLK;
	if (depth >= 65535)
		return -EOVERFLOW;
	if (depth > 0) {
		WRITE_ONCE(zone->pcp_depth, depth + 1);
		return 0;
	}
	rounds_lock(mem);
	WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	cost->ipis += (unsigned)refresh_round(mem, zone);
	cost->rounds++;
	rounds_unlock(mem);
	return 0;
}
