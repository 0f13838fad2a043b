/* SPDX-License-Identifier: MIT */
/*
 * title: a pageblock that is half free is stolen wherever it is: from an area, too
 * layer: contract
 * file: mm/core/fallback.c
 */

static bool may_steal(const struct zone *zone, pfn_t pfn, enum migratetype from)
{
	return zone->kind != ZONE_MOVABLE &&
	    pageblock_of(zone->mem, pfn)->nr_free >= PAGEBLOCK_PAGES / 2;
}
