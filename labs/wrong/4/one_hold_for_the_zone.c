/* SPDX-License-Identifier: MIT */
/*
 * title: one hold of the zone lock covers all stacks of the zone
 * layer: contract
 * file: mm/core/pcp.c
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, n = 0;

	zone_lock(zone);
	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i, count = stack_count(&pcp->stack[stack]);

		n += count;
		if (count)
			pcp_give_back(zone, pcp, stack, count);
	}
	zone_unlock(zone);
	MM_EVENT_ADD(zone->mem, PCP_DRAINED, n);
}
