/* SPDX-License-Identifier: MIT */
/*
 * title: a disable that finds the caches off adds one and returns, without the lock: the round may be under way
 * layer: explorer
 * file: mm/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	if (READ_ONCE(zone->pcp_depth) >= 65535)
		return -EOVERFLOW;
	if (READ_ONCE(zone->pcp_depth) > 0) {
		atomic_add(&zone->pcp_depth, 1u);
		return 0;
	}
	rounds_lock(mem);
	WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	cost->ipis += (unsigned)refresh_round(mem, zone);
	cost->rounds++;
	rounds_unlock(mem);
	return err;
}
