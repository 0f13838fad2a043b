/* SPDX-License-Identifier: MIT */
/*
 * title: the loop ends when the range is free, or with the deadline: a blocker is waited for
 * layer: contract
 * file: mm/hotplug/evacuate.c
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
