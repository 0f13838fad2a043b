/* SPDX-License-Identifier: MIT */
/*
 * title: where the type stays, the pageblock's smallest sufficient block is cut
 * layer: model
 * file: mm/core/fallback.c
 */

static pfn_t fallback_take(
    struct zone *zone, unsigned have, unsigned order, enum migratetype from, enum migratetype type)
{
	pfn_t pfn = zone->blocks[from][have];
	unsigned had = 0;
	int at;

	if (may_steal(zone, pfn, from)) {
		pageblock_change_type(zone, pfn, type);
		MM_EVENT(zone->mem, FALLBACK_STEAL);
		return buddy_alloc(zone, order, type);
	}
	MM_EVENT(zone->mem, FALLBACK_MIX);
	at = free_map_take(&tree_of(zone->mem, pfn)->map, order, &had);
	buddy_map_changed(zone, pfn, -(1L << order));
	return pfn + (pfn_t)at;
}
