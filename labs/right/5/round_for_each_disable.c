/* SPDX-License-Identifier: MIT */
/*
 * title: every disable makes a round, also the nested ones; nothing is counted
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth >= 65535) {
		err = -EOVERFLOW;
	} else {
		WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return err;
}
