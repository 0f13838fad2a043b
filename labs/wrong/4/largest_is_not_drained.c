/* SPDX-License-Identifier: MIT */
/*
 * title: a drain leaves out the stacks of the largest order
 * layer: contract
 * file: mm/core/pcp.c
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, n;

	for (i = 0; i < NR_SMALL_CACHED * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;

		n = stack_count(&pcp->stack[stack]);
		if (!n)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, n);
		zone_unlock(zone);
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, n);
	}
}
