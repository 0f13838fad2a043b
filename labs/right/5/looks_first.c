/* SPDX-License-Identifier: MIT */
/*
 * title: a drain asks pcp_zone_nonempty of each CPU before it takes a lock
 * file: mm/drain.c
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id, first = zone ? zone->id : 0, last = zone ? zone->id + 1 : mem->nr_nodes * NR_ZONE_KINDS;
	bool some = false;
	unsigned cpu;

	for (id = first; id < last; id++)
		for (cpu = 0; cpu < mem->nr_cpus; cpu++)
			some |= pcp_zone_nonempty(mem, cpu, &mem->zones[id]);
	if (!some && may_sleep())
		return 0;
	return drain_cached(mem, zone);
}
