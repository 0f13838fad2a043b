/* SPDX-License-Identifier: MIT */
/*
 * title: where evacuation fails the range stays isolated
 * layer: model
 * file: mm/hotplug/contig.c
 */

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct memory *mem = e->zone->mem;
	struct pfn_range blocks = range_blocks(e->range);
	int err = isolate_range(mem, e->range, e->policy, e->fail, &e->cost);
	pfn_t bad;

	if (err)
		return err;
	err = evacuate(e);
	if (err)
		return err == -ETIMEDOUT ? -EBUSY : err;
	bad = take_range(e->zone, e->range);
	if (bad == PFN_NONE)
		set_types(e->zone, e->range, type);
	else
		err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	return err;
}
