/* SPDX-License-Identifier: MIT */
/*
 * title: a drain of all zones looks at the zones of node 0
 * layer: model
 * file: mm/core/drain.c
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id = 0;

	if (zone)
		return drain_unless(mem, zone, zone_seems_empty(mem, zone->id));
	while (id < NR_ZONE_KINDS && zone_seems_empty(mem, id))
		id++;
	return drain_unless(mem, NULL, id == NR_ZONE_KINDS);
}
