/* SPDX-License-Identifier: MIT */
/*
 * title: progress does not count: a long evacuation ends while pages still leave
 * layer: contract
 * file: mm/hotplug/evacuate.c
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
