/* SPDX-License-Identifier: MIT */
/*
 * name: movable_directly
 * title: pages that are no object's are isolated by isolate_movable_page
 */

static void evacuate_pass(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	struct isolated_pages pages = {.to = NULL};
	u32 found[MIGRATE_BATCH];
	pfn_t pfn = e->range.start;
	unsigned i;

	e->stats.no_target = false;
	while (pfn < e->range.end && !cancelled(e) && !deadline_past(e->deadline)) {
		unsigned nr = find_movable(e, &pfn, found);

		if (!nr)
			continue;
		pages.nr_movable = 0;
		pages.nr_lru = lru_isolate_found(e->zone, found, &nr, pages.lru);
		for (i = 0; i < nr; i++)
			if (isolate_movable_page(mem, found[i]) == 0)
				pages.lru[MIGRATE_BATCH - ++pages.nr_movable] =
				    pfn_to_page_in(mem, found[i]);
		sched_point("offline.migrate");
		migrate_isolated(mem, &pages, NULL, &e->stats);
	}
	e->no_target = e->stats.no_target;
}

/*
 * name: page_by_page
 * title: pages are isolated and moved one at a time
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

/*
 * name: tests_first
 * title: whether the range is free is asked before the first pass; the reasons to end are asked
 *        in another order
 */

int evacuate(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	unsigned long had = range_free(e), has;
	struct patience patience;
	pfn_t at = PFN_NONE;
	bool over;

	patience_begin(&patience);
	while (!cancelled(e)) {
		if (test_pages_isolated(mem, e->range.start, range_pages(e->range), e->fail) == 0)
			return 0;
		e->loops++;
		evacuate_pass(e);
		if (test_pages_isolated(mem, e->range.start, range_pages(e->range), e->fail) == 0)
			return 0;
		if (cancelled(e))
			break;
		has = range_free(e);
		if (has != had || e->fail->pfn != at)
			patience_begin(&patience);
		had = has;
		at = e->fail->pfn;
		over = patience_over(&patience);
		if (over && e->no_target)
			return mm_fail(e->fail, at, WHY_NO_TARGET, -ENOMEM);
		if (over && e->fail->why != WHY_BUSY)
			return -EBUSY;
		if (deadline_past(e->deadline))
			return mm_fail(e->fail, at, WHY_DEADLINE, -ETIMEDOUT);
		e->policy->retry(e->zone, &e->cost);
		patience_wait(&patience);
	}
	return mm_fail(e->fail, e->range.start, WHY_CANCELLED, -EINTR);
}
