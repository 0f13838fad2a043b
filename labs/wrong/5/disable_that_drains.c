/* SPDX-License-Identifier: MIT */
/*
 * title: a disable empties the caches, and leaves their capacities as they are
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
	if (zone->pcp_depth >= 65535) {
		err = -EOVERFLOW;
	} else {
		struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};

		WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
		cost->ipis += (unsigned)drain_round(&req, true);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return err;
}
