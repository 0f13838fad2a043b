/* SPDX-License-Identifier: MIT */
/*
 * title: what is above the capacity is given back by count, the capacity still being the old one
 * layer: model
 * file: mm/core/pcp.c
 */

void pcp_refresh_zone_local(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);
	unsigned i;

	for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
		unsigned stack = stacks_of(zone->id) + i;
		const struct pcp_stack *s = &pcp->stack[stack];

		if (s->top > s->limit) {
			zone_lock(zone);
			pcp_give_back(zone, pcp, stack, (unsigned)(s->top - s->limit));
			zone_unlock(zone);
		}
		pcp_update_capacity(zone, pcp, stack);
	}
}
