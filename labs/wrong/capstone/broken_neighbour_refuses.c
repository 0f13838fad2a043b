/* SPDX-License-Identifier: MIT */
/*
 * title: a flagged page beside the range, in its pageblock, refuses the range
 * layer: contract
 * file: mm/hotplug/contig.c
 */

static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn, bad;
	int err;

	if (range.start >= range.end)
		return mm_fail(fail, range.start, WHY_RANGE, -EINVAL);
	err = range_zone(mem, range_blocks(range), zone, fail);
	if (err)
		return err;
	if (type >= NR_MIGRATETYPES || (type != MT_MOVABLE && (*zone)->kind == ZONE_MOVABLE))
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
		if ((pageblock_type(pb) == MT_CMA) != (type == MT_CMA))
			return mm_fail(fail, pfn, WHY_TYPE, -EINVAL);
		/* An unlocked read: take_range checks again. */
		bad = poison_first(mem, pfn, pfn + PAGEBLOCK_PAGES);
		if (bad != PFN_NONE)
			return mm_fail(fail, bad, WHY_HWPOISON, -EBUSY);
	}
	return 0;
}
