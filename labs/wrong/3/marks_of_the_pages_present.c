/* SPDX-License-Identifier: MIT */
/*
 * title: low and high are parts of the zone, not of min
 * layer: contract
 * file: mm/core/zone.c
 */

void zone_set_watermarks(struct zone *zone)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	unsigned long part = zone->managed / WMARK_DIVISOR;

	part = MAX(part, WMARK_FLOOR);
	part = MIN(part, WMARK_CEILING);
	WRITE_ONCE(zone->wmark[WMARK_MIN], part);
	WRITE_ONCE(zone->wmark[WMARK_LOW], 2 * part);
	WRITE_ONCE(zone->wmark[WMARK_HIGH], 3 * part);
	WRITE_ONCE(zone->reserve, zone->managed / RESERVE_DIVISOR);
	zone_unlock_irqrestore(zone, flags);
}
