/* SPDX-License-Identifier: MIT */
/*
 * title: the pageblocks' types change before the pages are taken, and stay if that fails
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
	/*
	 * Since the first check the range may have become part of an area or, removed and added
	 * again, of another zone.  From now on its zone stays, and whether it is in an area.
	 */
	err = contig_check(mem, e->range, type, &zone, e->fail);
	if (!err && zone != e->zone)
		err = mm_fail(e->fail, e->range.start, WHY_ZONES, -EINVAL);
	/* policy->enter() has turned the caches off for the whole operation. */
	KASSERT(!e->policy->caches_off || READ_ONCE(e->zone->pcp_depth) > 0);
	err = err ? err : evacuate(e);
	if (!err) {
		set_types(e->zone, e->range, type);
		bad = take_range(e->zone, e->range);
		if (bad != PFN_NONE)
			err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	}
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err == -ETIMEDOUT ? -EBUSY : err;
}
