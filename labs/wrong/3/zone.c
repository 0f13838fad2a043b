/* SPDX-License-Identifier: MIT */
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
