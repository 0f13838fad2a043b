/* SPDX-License-Identifier: MIT */
/*
 * title: whether the range is free is asked before the first pass; the reasons to end are asked
 *        in another order
 * file: mm/hotplug/evacuate.c
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
