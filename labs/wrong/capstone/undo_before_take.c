/* SPDX-License-Identifier: MIT */
/*
 * title: the isolation is undone before the pages are taken: others take them in between
 * layer: explorer
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
	undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	if (err)
		return err == -ETIMEDOUT ? -EBUSY : err;
	bad = take_range(e->zone, e->range);
	if (bad != PFN_NONE)
		return mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	set_types(e->zone, e->range, type);
	return 0;
}
