/* SPDX-License-Identifier: MIT */
/*
 * name: marks_of_the_pages_present
 * title: low and high are parts of the zone, not of min
 * layer: contract
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

/*
 * name: no_lock_as_handout
 * title: zone_set_watermarks takes no lock
 * layer: contract
 */

void zone_set_watermarks(struct zone *zone)
{
	struct zone_marks marks = zone_marks(zone);

	WRITE_ONCE(zone->wmark[WMARK_MIN], marks.wmark[WMARK_MIN]);
	WRITE_ONCE(zone->wmark[WMARK_LOW], marks.wmark[WMARK_LOW]);
	WRITE_ONCE(zone->wmark[WMARK_HIGH], marks.wmark[WMARK_HIGH]);
	WRITE_ONCE(zone->reserve, marks.reserve);
}

/*
 * name: stores_after_the_hold
 * title: the watermarks are computed under the lock, and stored after it
 * layer: explorer
 */

void zone_set_watermarks(struct zone *zone)
{
	struct zone_marks marks;
	irqflags_t flags;
	unsigned i;

	flags = zone_lock_irqsave(zone);
	marks = zone_marks(zone);
	zone_unlock_irqrestore(zone, flags);
	for (i = 0; i < ARRAY_SIZE(marks.wmark); i++)
		WRITE_ONCE(zone->wmark[i], marks.wmark[i]);
	WRITE_ONCE(zone->reserve, marks.reserve);
}
