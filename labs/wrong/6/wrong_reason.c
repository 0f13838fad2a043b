/* SPDX-License-Identifier: MIT */
/*
 * title: a pageblock that is not online is said to be isolated
 * layer: model
 * file: mm/page_isolation.c
 */

static int isolate_block(struct zone *zone, pfn_t block, bool scan, struct pfn_range range,
    struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE || pageblock_isolated(pb))
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	if (scan)
		err = find_in_way(zone, block, range, false, fail);
	if (!err)
		pageblock_set_isolated(zone, block, true);
	return err;
}
