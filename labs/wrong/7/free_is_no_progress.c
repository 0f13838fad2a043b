/* SPDX-License-Identifier: MIT */
/*
 * title: only another blocker counts as progress
 * layer: contract
 * file: mm/hotplug/evacuate.c
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
		if (fail->pfn != blocker)
			patience_begin(&patience);
		best = free;
		blocker = fail->pfn;
		if (patience_over(&patience)) {
			if (e->no_target)
				return mm_fail(fail, fail->pfn, WHY_NO_TARGET, -ENOMEM);
			if (fail->why != WHY_BUSY)
				return -EBUSY;
		}
		if (deadline_past(e->deadline))
			return mm_fail(fail, fail->pfn, WHY_DEADLINE, -ETIMEDOUT);
		patience_wait(&patience);
	}
}
