/* SPDX-License-Identifier: MIT */
/*
 * title: an enable takes no lock, and lowers the depth through a pointer
 * layer: explorer
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	u32 *depth = &zone->pcp_depth;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(zone->mem);
	if (*depth >= 65535)
		err = -EOVERFLOW;
	else if ((*depth)++ == 0) {
		cost->ipis += (unsigned)refresh_round(zone->mem, zone);
		cost->rounds++;
		MM_EVENT(zone->mem, DRAIN_FORCED);
		MM_EVENT(zone->mem, PCP_DISABLE);
	}
	rounds_unlock(zone->mem);
	return err;
}

int zone_pcp_enable(struct zone *zone)
{
	u32 *depth = &zone->pcp_depth;

	if (*depth == 0) {
		MM_EVENT(zone->mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	(*depth)--;
	return 0;
}
