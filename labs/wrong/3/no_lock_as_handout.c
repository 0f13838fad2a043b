/* SPDX-License-Identifier: MIT */
/*
 * title: zone_set_watermarks takes no lock
 * layer: contract
 * file: mm/core/zone.c
 */

void zone_set_watermarks(struct zone *zone)
{
	struct zone_marks marks = zone_marks(zone);

	WRITE_ONCE(zone->wmark[WMARK_MIN], marks.wmark[WMARK_MIN]);
	WRITE_ONCE(zone->wmark[WMARK_LOW], marks.wmark[WMARK_LOW]);
	WRITE_ONCE(zone->wmark[WMARK_HIGH], marks.wmark[WMARK_HIGH]);
	WRITE_ONCE(zone->reserve, marks.reserve);
}
