/* SPDX-License-Identifier: MIT */
/*
 * title: the range is not checked again after the isolation
 * layer: contract
 * file: mm/hotplug/contig.c
 */

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	struct zone *zone;
	pfn_t bad;

	if (err)
		return err;
	(void)zone;
	KASSERT(!e->policy->caches_off || READ_ONCE(e->zone->pcp_depth) > 0);
	err = err ? err : evacuate(e);
	sched_point("contig.empty");
	if (!err) {
		bad = take_range(e->zone, e->range);
		if (bad == PFN_NONE)
			set_types(e->zone, e->range, type);
		else
			err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	}
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err == -ETIMEDOUT ? -EBUSY : err;
}
