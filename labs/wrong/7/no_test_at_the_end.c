/* SPDX-License-Identifier: MIT */
/*
 * title: a pass in which nothing was left to move counts as success, without a test
 * layer: model
 * file: mm/hotplug/evacuate.c
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
