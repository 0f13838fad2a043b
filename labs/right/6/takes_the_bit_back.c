/* SPDX-License-Identifier: MIT */
/*
 * title: the bit is set before the scan, and taken back in the same lock hold
 * file: mm/hotplug/page_isolation.c
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (pageblock_state(pageblock_of(mem, block)) != PB_ONLINE)
		return mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pageblock_of(mem, block)))
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	pageblock_set_isolated(zone, block, true);
	if (scan)
		err = find_blocker(zone, block_range(block), range, false, fail);
	if (err)
		pageblock_set_isolated(zone, block, false);
	else
		MM_EVENT(mem, ISO_BLOCKS);
	return err;
}
