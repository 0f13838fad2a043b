/* SPDX-License-Identifier: MIT */
/*
 * title: the round of precise leaves out the last stack: whole pageblocks of the last type
 * layer: contract
 * file: mm/hotplug/page_isolation.c
 */

void pcp_drain_isolated_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i = pcp->scan_stack, at = pcp->scan_left;
	int left = ROUND_PIECE;

	pcp->scan_stack = pcp->scan_left = 0;
	at = at ? at : PCP_MOST;
	for (; i < NR_CACHED_ORDERS * NR_CACHED_TYPES - 1; i++, at = PCP_MOST) {
		at = MIN(at, stack_count(&pcp->stack[stacks_of(zone->id) + i]));
		if (at > 0)
			at = drain_isolated_slots(zone, pcp, i, at, &left);
		if (at > 0) {
			pcp->scan_stack = (u16)i;
			pcp->scan_left = (u16)at;
			pcp->unfinished = true;
			return;
		}
	}
}
