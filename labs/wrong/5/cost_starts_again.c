/* SPDX-License-Identifier: MIT */
/*
 * title: a disable stores the cost of its round over that of earlier rounds
 * layer: contract
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
	} else if (zone->pcp_depth++ == 0) {
		cost->ipis = (unsigned)refresh_round(mem, zone);
		cost->rounds = 1;
	}
	rounds_unlock(mem);
	return err;
}
