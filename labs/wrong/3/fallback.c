/* SPDX-License-Identifier: MIT */
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
