/* SPDX-License-Identifier: MIT */
/*
 * title: the deadline does not end the pass
 * layer: contract
 * file: mm/hotplug/evacuate.c
 */

static void evacuate_pass(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	struct isolated_pages pages = {.to = NULL};
	u32 found[MIGRATE_BATCH];
	pfn_t pfn = e->range.start;
	unsigned i;

	e->stats.no_target = false;
	while (pfn < e->range.end && !cancelled(e)) {
		unsigned nr = find_movable(e, &pfn, found);

		if (!nr)
			continue;
		pages.nr_movable = 0;
		pages.nr_lru = lru_isolate_found(e->zone, found, &nr, pages.lru);
		for (i = 0; i < nr; i++)
			isolate_page(mem, found[i], &pages);
		sched_point("offline.migrate");
		migrate_isolated(mem, &pages, NULL, &e->stats);
	}
	e->no_target = e->stats.no_target;
}
