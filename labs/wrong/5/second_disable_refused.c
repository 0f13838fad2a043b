/* SPDX-License-Identifier: MIT */
/*
 * title: caches that are off cannot be switched off again
 * layer: model
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth > 0) {
		err = -EBUSY;
	} else {
		WRITE_ONCE(zone->pcp_depth, 1);
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return err;
}
