/* SPDX-License-Identifier: MIT */
/*
 * name: drains_from_the_top
 * title: a drain goes from the largest order down
 */

void pcp_drain_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i, left = DRAIN_PIECE;

	for (i = NR_CACHED_ORDERS * NR_CACHED_TYPES; i-- > 0;) {
		unsigned stack = stacks_of(zone->id) + i;

		if (stack_count(&pcp->stack[stack]) && !give_piece(zone, pcp, stack, 0, &left))
			return;
	}
}
