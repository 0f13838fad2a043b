/* SPDX-License-Identifier: MIT */
/*
 * title: what is left after one pass is a blocker
 * layer: contract
 * file: mm/hotplug/evacuate.c
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
