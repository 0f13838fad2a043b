/* SPDX-License-Identifier: MIT */
/*
 * title: a drain walks the orders, and of each only the first type
 * layer: model
 * file: mm/core/pcp.c
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned order;

	for (order = 0; order < NR_CACHED_ORDERS; order++) {
		unsigned stack = zone_stack(zone, order, MT_UNMOVABLE);

		if (pcp->stack[stack].top == pcp->stack[stack].slot)
			continue;
		zone_lock(zone);
		pcp_give_back(zone, pcp, stack, stack_count(&pcp->stack[stack]));
		zone_unlock(zone);
	}
}
