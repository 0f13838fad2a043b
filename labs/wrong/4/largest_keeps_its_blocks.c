/* SPDX-License-Identifier: MIT */
/*
 * title: a refresh sets all capacities, and gives back blocks of small orders only
 * layer: contract
 * file: mm/core/pcp.c
 */

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		unsigned capacity = pcp_update_capacity(zone, pcp, stack);
		unsigned count = stack_count(&pcp->stack[stack]);

		if (i / NR_CACHED_TYPES >= NR_SMALL_CACHED || count <= capacity)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, count - capacity);
		zone_unlock(zone);
		MM_EVENT_ADD(zone->mem, PCP_DRAINED, count - capacity);
	}
}
