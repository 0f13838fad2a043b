/* SPDX-License-Identifier: MIT */
/*
 * title: pages of an area are counted there, and not in the zone
 * layer: model
 * file: mm/core/buddy.c
 */

static void count_in_zone(struct zone *zone, enum migratetype type, long nr)
{
	if (type == MT_CMA)
		WRITE_ONCE(zone->nr_free_cma, zone->nr_free_cma + (unsigned long)nr);
	else
		WRITE_ONCE(zone->nr_free, zone->nr_free + (unsigned long)nr);
}
