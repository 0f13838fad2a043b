/* SPDX-License-Identifier: MIT */
/*
 * title: a drain of all zones looks at the first zone only before it makes none
 * layer: model
 * file: mm/drain.c
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id = zone ? zone->id : 0;

	if (may_sleep() && zone_seems_empty(mem, id))
		return 0;
	return drain_cached(mem, zone);
}
