/* SPDX-License-Identifier: MIT */
/*
 * title: pages are taken from their owners, and those that do not move are not put back
 * layer: contract
 * file: mm/hotplug/evacuate.c
 */

static void evacuate_pass(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	struct isolated_pages pages = {.to = NULL};
	u32 found[MIGRATE_BATCH];
	pfn_t pfn = e->range.start;
	unsigned i, nr;

	e->no_target = false;
	while (pfn < e->range.end && !cancelled(e) && !deadline_past(e->deadline)) {
		struct mm_fail fail = {0};

		nr = find_movable(e, &pfn, found);
		pages.nr_movable = 0;
		pages.nr_lru = 0;
		for (i = 0; i < nr; i++)
			isolate_page(mem, found[i], &pages);
		if (nr > 1 && migrate_isolated(mem, &pages, &fail, &e->stats) &&
		    fail.why == WHY_NO_TARGET)
			e->no_target = true;
	}
}
