/* SPDX-License-Identifier: MIT */
/*
 * title: the depth is raised before the lock: a second caller may have the lock first
 * layer: explorer
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	u32 old;

	if (!may_sleep())
		return -EDEADLK;
	old = atomic_add(&zone->pcp_depth, 1u);
	if (old >= 65535) {
		atomic_sub(&zone->pcp_depth, 1u);
		return -EOVERFLOW;
	}
	rounds_lock(mem);
	if (old == 0) {
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return 0;
}
