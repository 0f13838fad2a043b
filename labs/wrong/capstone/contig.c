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

/*
 * name: type_of_the_first
 * title: only the first pageblock's type is compared: a range that begins before an area takes its
 *        pages
 * layer: contract
 */

static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn = ALIGN_DOWN(range.start, PAGEBLOCK_PAGES), bad;
	int err;

	if (range.start >= range.end)
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	err = range_zone(mem, range_blocks(range), zone, fail);
	if (err)
		return err;
	if (type >= NR_MIGRATETYPES || (type != MT_MOVABLE && (*zone)->kind == ZONE_MOVABLE))
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	if ((pageblock_type(pageblock_of(mem, pfn)) == MT_CMA) != (type == MT_CMA))
		return mm_fail(fail, pfn, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		if (pageblock_state(pageblock_of(mem, pfn)) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
		bad =
		    poison_first(mem, MAX(pfn, range.start), MIN(pfn + PAGEBLOCK_PAGES, range.end));
		if (bad != PFN_NONE)
			return mm_fail(fail, bad, WHY_HWPOISON, -EBUSY);
	}
	return 0;
}
