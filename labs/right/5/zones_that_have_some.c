/* SPDX-License-Identifier: MIT */
/*
 * title: a drain of all zones makes a round for each zone that has something cached
 * file: mm/core/drain.c
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id, nr = mem->nr_nodes * NR_ZONE_KINDS;
	int asked = 0, one;

	if (zone || !may_sleep())
		return drain_cached(mem, zone);
	for (id = 0; id < nr; id++) {
		if (zone_seems_empty(mem, id))
			continue;
		one = drain_cached(mem, &mem->zones[id]);
		if (one < 0)
			return one;
		asked += one;
	}
	return asked;
}
