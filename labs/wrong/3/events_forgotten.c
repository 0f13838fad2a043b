/* SPDX-License-Identifier: MIT */
/*
 * title: neither FALLBACK_STEAL nor FALLBACK_MIX is counted
 * layer: contract
 * file: mm/core/fallback.c
 */

static pfn_t fallback_take(struct zone *zone, unsigned have, unsigned order, enum migratetype from,
    enum migratetype type) REQUIRES_ZONE(zone)
{
	pfn_t pfn = zone->blocks[from][have];

	KASSERT(from != type && order <= have);
	if (may_steal(zone, pfn, from)) {
		pageblock_change_type(zone, pfn, type);
		pfn = buddy_alloc(zone, order, type);
		KASSERT(pfn != PFN_NONE);
		return pfn;
	}
	pfn += free_map_first(&tree_of(zone->mem, pfn)->map, have);
	return buddy_take(zone, pfn, order);
}
