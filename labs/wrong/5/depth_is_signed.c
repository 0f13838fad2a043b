/* SPDX-License-Identifier: MIT */
/*
 * title: the depth is taken for a signed number of 16 bits: half as many disables are allowed
 * layer: contract
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;
	short depth;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	depth = (short)(zone->pcp_depth + 1);
	if (depth <= 0) {
		err = -EOVERFLOW;
	} else {
		WRITE_ONCE(zone->pcp_depth, (unsigned)depth);
		if (depth == 1) {
			cost->ipis += (unsigned)refresh_round(mem, zone);
			cost->rounds++;
		}
	}
	rounds_unlock(mem);
	return err;
}
