/* SPDX-License-Identifier: MIT */
/*
 * name: types_then_orders
 * title: lists instead of bits are looked at; the free block in a pageblock is found by a walk
 *        over its pages
 */

static unsigned nr_fallbacks(enum migratetype type)
{
	return type == MT_MOVABLE ? 3 : 2;
}

bool buddy_has(const struct zone *zone, unsigned order, enum migratetype type)
{
	unsigned list, i;

	for (list = order; list <= MAX_ORDER; list++) {
		if (zone->blocks[type][list] != PFN_NONE)
			return true;
		for (i = 0; i < nr_fallbacks(type); i++) {
			if (zone->blocks[fallbacks[type][i]][list] != PFN_NONE)
				return true;
		}
	}
	return false;
}

static pfn_t fallback_take(
    struct zone *zone, unsigned have, unsigned order, enum migratetype from, enum migratetype type)
{
	pfn_t block = zone->blocks[from][have], pfn;

	if (may_steal(zone, block, from)) {
		pageblock_change_type(zone, block, type);
		MM_EVENT(zone->mem, FALLBACK_STEAL);
	} else {
		MM_EVENT(zone->mem, FALLBACK_MIX);
	}
	for (pfn = block; free_order_at(zone->mem, pfn) != (int)have;)
		pfn++;
	return buddy_take(zone, pfn, order);
}

pfn_t buddy_alloc_fallback(struct zone *zone, unsigned order, enum migratetype type)
{
	int have = MAX_ORDER;
	unsigned i;

	if (zone->kind == ZONE_MOVABLE && type != MT_MOVABLE)
		return PFN_NONE;
	while (have >= (int)order) {
		for (i = 0; i < nr_fallbacks(type); i++) {
			enum migratetype from = (enum migratetype)fallbacks[type][i];

			if (zone->blocks[from][have] != PFN_NONE)
				return fallback_take(zone, (unsigned)have, order, from, type);
		}
		have--;
	}
	return PFN_NONE;
}
