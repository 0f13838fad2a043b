/* SPDX-License-Identifier: MIT */
/*
 * title: whether there is something to fall back to is asked of the type itself
 * layer: contract
 * file: mm/core/fallback.c
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
