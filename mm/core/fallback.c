/* SPDX-License-Identifier: MIT */
/*
 * fallback.c: allocating a block of another migratetype, when the wanted one has no free block.
 *
 * Owns:       the order in which types are tried; the choice of pageblocks that change their type.
 * Locks:      the zone lock throughout.
 * Invariants: no pageblock of zone MOVABLE or of CMA changes its type.
 * Tests:      pageblock, buddy.
 */
#include "mm/core/buddy.h"

/* For each type, the types to fall back to when it has no free block, in this order. */
static const u8 fallbacks[NR_CACHED_TYPES][3] = {
    [MT_UNMOVABLE] = {MT_RECLAIMABLE, MT_MOVABLE, NR_MIGRATETYPES},
    [MT_MOVABLE] = {MT_CMA, MT_RECLAIMABLE, MT_UNMOVABLE},
    [MT_RECLAIMABLE] = {MT_UNMOVABLE, MT_MOVABLE, NR_MIGRATETYPES},
};

bool buddy_has(const struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned have = zone->have[type], i;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(type < NR_CACHED_TYPES);
	for (i = 0; i < ARRAY_SIZE(fallbacks[0]) && fallbacks[type][i] < NR_MIGRATETYPES; i++)
		have |= zone->have[fallbacks[type][i]];
	return have >> order;
}

/*
 * A pageblock is stolen (its type changes, with all its free blocks) when at least half of it is
 * free: most later allocations there will then be of the new type.  Pageblocks of zone MOVABLE are
 * never stolen, since all pages there must stay movable; nor are those of CMA, which are only lent.
 */
static bool may_steal(const struct zone *zone, pfn_t pfn, enum migratetype from) REQUIRES_ZONE(zone)
{
	return zone->kind != ZONE_MOVABLE && from != MT_CMA &&
	    pageblock_of(zone->mem, pfn)->nr_free >= PAGEBLOCK_PAGES / 2;
}

static pfn_t fallback_take(struct zone *zone, unsigned have, unsigned order, enum migratetype from,
    enum migratetype type) REQUIRES_ZONE(zone)
{
	pfn_t pfn = zone->blocks[from][have];

	KASSERT(from != type && order <= have);
	if (may_steal(zone, pfn, from)) {
		pageblock_change_type(zone, pfn, type);
		MM_EVENT(zone->mem, FALLBACK_STEAL);
		pfn = buddy_alloc(zone, order, type);
		KASSERT(pfn != PFN_NONE);
		return pfn;
	}
	MM_EVENT(zone->mem, FALLBACK_MIX);
	pfn += free_map_first(&tree_of(zone->mem, pfn)->map, have);
	return buddy_take(zone, pfn, order);
}

pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned have, i;

	ASSERT_ZONE_LOCKED(zone);
	KASSERT(type < NR_CACHED_TYPES);
	if (zone->kind == ZONE_MOVABLE && type != MT_MOVABLE)
		return PFN_NONE;
	/* Try the largest order first, so that unmovable pages gather in few pageblocks. */
	for (have = MAX_ORDER + 1; have-- > order;) {
		for (i = 0; i < ARRAY_SIZE(fallbacks[0]) && fallbacks[type][i] < NR_MIGRATETYPES;
		     i++) {
			enum migratetype from = (enum migratetype)fallbacks[type][i];

			if (zone->have[from] >> have & 1)
				return fallback_take(zone, have, order, from, type);
		}
	}
	return PFN_NONE;
}
