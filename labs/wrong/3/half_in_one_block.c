/* SPDX-License-Identifier: MIT */
/*
 * title: half of a pageblock counts as free only if it is one block
 * layer: contract
 * file: mm/core/fallback.c
 */

static bool may_steal(const struct zone *zone, pfn_t pfn, enum migratetype from)
{
	if (zone->kind == ZONE_MOVABLE || from == MT_CMA)
		return false;
	return free_map_largest(&tree_of(zone->mem, pfn)->map) >= MAX_ORDER - 1;
}
