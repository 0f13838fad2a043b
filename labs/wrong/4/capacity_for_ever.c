/* SPDX-License-Identifier: MIT */
/*
 * title: a capacity that was set once is not lowered again
 * layer: model
 * file: mm/pcp.c
 */

unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack)
{
	u16 limit = READ_ONCE(zone->pcp_capacity[0][stack % STACKS_PER_ZONE]);

	if (pcp->capacity[stack] < limit)
		WRITE_ONCE(pcp->capacity[stack], limit);
	return load_acquire(&zone->pcp_depth) ? 0 : pcp->capacity[stack];
}
