/* SPDX-License-Identifier: MIT */
/*
 * title: the types of the pageblocks are not compared with that of the request
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
	if (type >= NR_MIGRATETYPES)
		return mm_fail(fail, range.start, WHY_TYPE, -EINVAL);
	for_each_block(pfn, range) {
		if (pageblock_state(pageblock_of(mem, pfn)) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
	}
	return 0;
}
