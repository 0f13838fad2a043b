/* SPDX-License-Identifier: MIT */
/*
 * title: any other type will do: unmovable pages come out of areas
 * layer: contract
 * file: mm/core/fallback.c
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
