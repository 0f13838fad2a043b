/* SPDX-License-Identifier: MIT */
/*
 * title: another type's smallest block is taken: what cannot move gets into every pageblock
 * layer: contract
 * file: mm/core/fallback.c
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
