/* SPDX-License-Identifier: MIT */
/*
 * title: disable and enable with one way out, by goto
 * file: mm/core/drain.c
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	unsigned depth;
	int ret = 0, asked;

	if (!may_sleep()) {
		ret = -EDEADLK;
		goto out;
	}
	rounds_lock(mem);
	depth = READ_ONCE(zone->pcp_depth);
	if (depth == 65535) {
		ret = -EOVERFLOW;
		goto unlock;
	}
	store_release(&zone->pcp_depth, depth + 1);
	if (depth)
		goto unlock;
	asked = refresh_round(mem, zone);
	if (asked > 0)
		cost->ipis += (unsigned)asked;
	cost->rounds += 1;
unlock:
	rounds_unlock(mem);
out:
	return ret;
}

int zone_pcp_enable(struct zone *zone)
{
	int ret = -EINVAL;
	unsigned depth;

	rounds_lock(zone->mem);
	depth = READ_ONCE(zone->pcp_depth);
	if (depth > 0) {
		store_release(&zone->pcp_depth, depth - 1);
		ret = 0;
	} else {
		MM_EVENT(zone->mem, PCP_UNBALANCED);
	}
	rounds_unlock(zone->mem);
	return ret;
}
