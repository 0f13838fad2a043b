/* SPDX-License-Identifier: MIT */
/*
 * title: the event PCP_DRAINED counts stacks, not blocks
 * layer: contract
 * file: mm/core/pcp.c
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i, n = stack_count(&pcp->stack[stack]);

		if (!n)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, n);
		zone_unlock(zone);
		MM_EVENT(zone->mem, PCP_DRAINED);
	}
}
