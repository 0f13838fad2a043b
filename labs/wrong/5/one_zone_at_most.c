/* SPDX-License-Identifier: MIT */
/*
 * title: a drain of all zones makes a round for the first that has something cached
 * layer: model
 * file: mm/core/drain.c
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id;

	if (zone)
		return drain_cached(mem, zone);
	for (id = 0; id < mem->nr_nodes * NR_ZONE_KINDS; id++) {
		if (!zone_seems_empty(mem, id))
			return drain_cached(mem, &mem->zones[id]);
	}
	return may_sleep() ? 0 : -EDEADLK;
}
