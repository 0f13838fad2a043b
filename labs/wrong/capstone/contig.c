/* SPDX-License-Identifier: MIT */
/*
 * name: isolation_is_kept
 * title: where evacuation fails the range stays isolated
 * layer: model
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

/*
 * name: undo_before_take
 * title: the isolation is undone before the pages are taken: others take them in between
 * layer: explorer
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
