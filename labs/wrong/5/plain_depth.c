/* SPDX-License-Identifier: MIT */
/*
 * title: an enable takes no lock, and lowers the depth by --: of two one is lost
 * layer: explorer
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
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
		MM_EVENT(mem, DRAIN_FORCED);
		MM_EVENT(mem, PCP_DISABLE);
	}
	rounds_unlock(mem);
	return err;
}

int zone_pcp_enable(struct zone *zone)
{
	if (zone->pcp_depth == 0) {
		MM_EVENT(zone->mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	zone->pcp_depth--;
	return 0;
}
