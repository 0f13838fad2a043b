/* SPDX-License-Identifier: MIT */
/*
 * title: a flagged page in the range is found only when the range was isolated and evacuated
 * layer: contract
 * file: mm/hotplug/contig.c
 */

static int contig_check(struct memory *mem, struct pfn_range range, enum migratetype type,
    struct zone **zone, struct mm_fail *fail)
{
	pfn_t pfn;
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
	}
	return 0;
}
