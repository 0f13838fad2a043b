/* SPDX-License-Identifier: MIT */
/*
 * title: pages are isolated and moved one at a time
 * file: mm/hotplug/evacuate.c
 */

static bool move_one(struct evacuation *e, pfn_t pfn)
{
	struct memory *mem = e->zone->mem;
	struct isolated_pages pages = {.to = NULL};
	struct mm_fail fail = {0};

	if (isolate_page(mem, pfn, &pages))
		return true;
	return !migrate_isolated(mem, &pages, &fail, &e->stats) || fail.why != WHY_NO_TARGET;
}

static void evacuate_pass(struct evacuation *e)
{
	u32 found[MIGRATE_BATCH];
	pfn_t pfn = e->range.start;
	unsigned i, nr;

	e->no_target = false;
	while (pfn < e->range.end) {
		nr = find_movable(e, &pfn, found);
		for (i = 0; i < nr; i++) {
			if (cancelled(e) || deadline_past(e->deadline))
				return;
			if (!move_one(e, found[i]))
				e->no_target = true;
		}
	}
}
