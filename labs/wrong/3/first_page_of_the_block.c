/* SPDX-License-Identifier: MIT */
/*
 * title: what is taken is the first page of the pageblock, free or not
 * layer: model
 * file: mm/core/fallback.c
 */

static pfn_t fallback_take(
    struct zone *zone, unsigned have, unsigned order, enum migratetype from, enum migratetype type)
{
	pfn_t pfn = zone->blocks[from][have];

	if (may_steal(zone, pfn, from)) {
		pageblock_change_type(zone, pfn, type);
		MM_EVENT(zone->mem, FALLBACK_STEAL);
		return buddy_alloc(zone, order, type);
	}
	MM_EVENT(zone->mem, FALLBACK_MIX);
	return buddy_take(zone, pfn, order);
}
