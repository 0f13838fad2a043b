/* SPDX-License-Identifier: MIT */
/*
 * title: where nothing is cached the context is not looked at
 * layer: model
 * file: mm/core/drain.c
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id, nr = mem->nr_nodes * NR_ZONE_KINDS;

	for (id = 0; id < nr; id++) {
		if ((!zone || zone->id == id) && !zone_seems_empty(mem, id))
			return drain_cached(mem, zone);
	}
	return 0;
}
