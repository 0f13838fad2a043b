/* SPDX-License-Identifier: MIT */
/*
 * name: blocker_before_memory
 * title: the blocker's reason is asked before the missing memory
 * layer: contract
 */

int evacuate(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	struct mm_fail *fail = e->fail;
	unsigned long best = 0;
	pfn_t blocker = PFN_NONE;
	struct patience patience;

	KASSERT(may_sleep());
	KASSERT(e->range.start < e->range.end);
	KASSERT(pageblock_isolated(pageblock_of(mem, e->range.start)));
	patience_begin(&patience);
	for (;;) {
		unsigned long free;

		if (cancelled(e))
			return mm_fail(fail, e->range.start, WHY_CANCELLED, -EINTR);
		e->loops++;
		sched_point("offline.scan");
		MM_EVENT(mem, OFFLINE_LOOPS);
		evacuate_pass(e);
		sched_point("offline.test");
		if (test_pages_isolated(mem, e->range.start, range_pages(e->range), fail) == 0)
			return 0;
		if (cancelled(e))
			continue;
		e->policy->retry(e->zone, &e->cost);
		free = range_free(e);
		if (free > best || fail->pfn != blocker)
			patience_begin(&patience);
		best = free;
		blocker = fail->pfn;
		if (patience_over(&patience)) {
			if (fail->why != WHY_BUSY)
				return -EBUSY;
			if (e->no_target)
				return mm_fail(fail, fail->pfn, WHY_NO_TARGET, -ENOMEM);
		}
		if (deadline_past(e->deadline))
			return mm_fail(fail, fail->pfn, WHY_DEADLINE, -ETIMEDOUT);
		patience_wait(&patience);
	}
}

/*
 * name: isolated_and_forgotten
 * title: pages are taken from their owners, and those that do not move are not put back
 * layer: contract
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

/*
 * name: no_test_at_the_end
 * title: a pass in which nothing was left to move counts as success, without a test
 * layer: model
 */

int evacuate(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	unsigned moved;

	do {
		if (cancelled(e))
			return mm_fail(e->fail, e->range.start, WHY_CANCELLED, -EINTR);
		e->loops++;
		MM_EVENT(mem, OFFLINE_LOOPS);
		moved = e->stats.moved;
		evacuate_pass(e);
		e->policy->retry(e->zone, &e->cost);
		if (deadline_past(e->deadline))
			return mm_fail(e->fail, e->range.start, WHY_DEADLINE, -ETIMEDOUT);
	} while (e->stats.moved > moved);
	return 0;
}

/*
 * name: one_pass_is_enough
 * title: what is left after one pass is a blocker
 * layer: contract
 */

int evacuate(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;

	if (cancelled(e))
		return mm_fail(e->fail, e->range.start, WHY_CANCELLED, -EINTR);
	e->loops++;
	MM_EVENT(mem, OFFLINE_LOOPS);
	evacuate_pass(e);
	if (test_pages_isolated(mem, e->range.start, range_pages(e->range), e->fail) == 0)
		return 0;
	return e->no_target ? -ENOMEM : -EBUSY;
}

/*
 * name: patience_is_never_renewed
 * title: progress does not count: a long evacuation ends while pages still leave
 * layer: contract
 */

int evacuate(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	unsigned tries;

	for (tries = 0; tries < 8; tries++) {
		struct patience patience;

		if (cancelled(e))
			return mm_fail(e->fail, e->range.start, WHY_CANCELLED, -EINTR);
		patience_begin(&patience);
		e->loops++;
		MM_EVENT(mem, OFFLINE_LOOPS);
		evacuate_pass(e);
		if (test_pages_isolated(mem, e->range.start, range_pages(e->range), e->fail) == 0)
			return 0;
		if (cancelled(e))
			continue;
		e->policy->retry(e->zone, &e->cost);
		if (deadline_past(e->deadline))
			return mm_fail(e->fail, e->fail->pfn, WHY_DEADLINE, -ETIMEDOUT);
		patience_wait(&patience);
	}
	if (e->no_target)
		return mm_fail(e->fail, e->fail->pfn, WHY_NO_TARGET, -ENOMEM);
	return -EBUSY;
}

/*
 * name: tries_for_ever
 * title: the loop ends when the range is free, or with the deadline: a blocker is waited for
 * layer: contract
 */

int evacuate(struct evacuation *e)
{
	struct memory *mem = e->zone->mem;
	struct patience patience;

	patience_begin(&patience);
	for (;;) {
		if (cancelled(e))
			return mm_fail(e->fail, e->range.start, WHY_CANCELLED, -EINTR);
		e->loops++;
		MM_EVENT(mem, OFFLINE_LOOPS);
		evacuate_pass(e);
		if (test_pages_isolated(mem, e->range.start, range_pages(e->range), e->fail) == 0)
			return 0;
		e->policy->retry(e->zone, &e->cost);
		if (deadline_past(e->deadline))
			return mm_fail(e->fail, e->fail->pfn, WHY_DEADLINE, -ETIMEDOUT);
		patience_wait(&patience);
	}
}
