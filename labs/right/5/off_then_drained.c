/* SPDX-License-Identifier: MIT */
/*
 * title: a disable sets the capacities to 0 in one round, and drains in a second
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	struct drain_request drain = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int err = -EDEADLK;

	if (may_sleep()) {
		err = 0;
		rounds_lock(mem);
		if (zone->pcp_depth > 65534)
			err = -EOVERFLOW;
		else if (++zone->pcp_depth == 1) {
			cost->ipis += (unsigned)refresh_round(mem, zone);
			cost->ipis += (unsigned)drain_round(&drain, true);
			cost->rounds += 2;
		}
		rounds_unlock(mem);
	}
	return err;
}
