/* SPDX-License-Identifier: MIT */
/*
 * name: all_types_in_turn
 * title: any other type will do: unmovable pages come out of areas
 * layer: contract
 */

pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned have, from;

	if (zone->kind == ZONE_MOVABLE && type != MT_MOVABLE)
		return PFN_NONE;
	for (have = MAX_ORDER + 1; have-- > order;) {
		for (from = 0; from < NR_MIGRATETYPES; from++) {
			if (from != type && zone->have[from] >> have & 1)
				return fallback_take(
				    zone, have, order, (enum migratetype)from, type);
		}
	}
	return PFN_NONE;
}

/*
 * name: events_forgotten
 * title: neither FALLBACK_STEAL nor FALLBACK_MIX is counted
 * layer: contract
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

/*
 * name: first_page_of_the_block
 * title: what is taken is the first page of the pageblock, free or not
 * layer: model
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

/*
 * name: half_in_one_block
 * title: half of a pageblock counts as free only if it is one block
 * layer: contract
 */

static bool may_steal(const struct zone *zone, pfn_t pfn, enum migratetype from)
{
	if (zone->kind == ZONE_MOVABLE || from == MT_CMA)
		return false;
	return free_map_largest(&tree_of(zone->mem, pfn)->map) >= MAX_ORDER - 1;
}

/*
 * name: has_of_its_own
 * title: whether there is something to fall back to is asked of the type itself
 * layer: contract
 */

bool buddy_has(const struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned list;

	for (list = order; list <= MAX_ORDER; list++) {
		if (zone->have[type] >> list & 1)
			return true;
	}
	return false;
}

/*
 * name: smallest_first
 * title: another type's smallest block is taken: what cannot move gets into every pageblock
 * layer: contract
 */

pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned have, i;

	if (zone->kind == ZONE_MOVABLE && type != MT_MOVABLE)
		return PFN_NONE;
	for (have = order; have <= MAX_ORDER; have++) {
		for (i = 0; i < 3 && fallbacks[type][i] < NR_MIGRATETYPES; i++) {
			enum migratetype from = (enum migratetype)fallbacks[type][i];

			if (zone->have[from] >> have & 1)
				return fallback_take(zone, have, order, from, type);
		}
	}
	return PFN_NONE;
}

/*
 * name: smallest_of_the_pageblock
 * title: where the type stays, the pageblock's smallest sufficient block is cut
 * layer: model
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

/*
 * name: steals_from_any
 * title: a pageblock that is half free is stolen wherever it is: from an area, too
 * layer: contract
 */

static bool may_steal(const struct zone *zone, pfn_t pfn, enum migratetype from)
{
	return zone->kind != ZONE_MOVABLE &&
	    pageblock_of(zone->mem, pfn)->nr_free >= PAGEBLOCK_PAGES / 2;
}

/*
 * name: steals_the_type_only
 * title: a stolen pageblock has a new type, and stays on the lists of the old one
 * layer: model
 */

static pfn_t fallback_take(
    struct zone *zone, unsigned have, unsigned order, enum migratetype from, enum migratetype type)
{
	pfn_t pfn = zone->blocks[from][have];
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	if (may_steal(zone, pfn, from)) {
		WRITE_ONCE(pb->bits, (u8)((pb->bits & ~PB_TYPE_MASK) | type));
		MM_EVENT(zone->mem, FALLBACK_STEAL);
	} else {
		MM_EVENT(zone->mem, FALLBACK_MIX);
	}
	pfn += free_map_first(&tree_of(zone->mem, pfn)->map, have);
	return buddy_take(zone, pfn, order);
}
