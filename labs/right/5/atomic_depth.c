/* SPDX-License-Identifier: MIT */
/*
 * title: the depth is counted by atomic additions, a disable's under the lock
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;
	u32 old;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	old = atomic_add(&zone->pcp_depth, 1u);
	if (old >= 65535) {
		atomic_sub(&zone->pcp_depth, 1u);
		err = -EOVERFLOW;
	} else if (old == 0) {
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return err;
}

int zone_pcp_enable(struct zone *zone)
{
	u32 old = READ_ONCE(zone->pcp_depth);

	do {
		if (old == 0)
			return -EINVAL;
	} while (!__atomic_compare_exchange_n(
	    &zone->pcp_depth, &old, old - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return 0;
}
