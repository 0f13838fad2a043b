/* SPDX-License-Identifier: MIT */
/*
 * title: a disable does not say what it has cost
 * layer: contract
 * file: mm/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth >= 65535)
		err = -EOVERFLOW;
	else if (zone->pcp_depth > 0)
		zone->pcp_depth++;
	else {
		WRITE_ONCE(zone->pcp_depth, 1);
		refresh_round(mem, zone);
	}
	rounds_unlock(mem);
	return err;
}
