/* SPDX-License-Identifier: MIT */
/*
 * title: policy disable scans the whole pageblock, whatever part of it is wanted
 * layer: contract
 * file: mm/hotplug/page_isolation.c
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE)
		return mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pb)) {
		MM_EVENT(zone->mem, ISO_CONFLICT);
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	}
	if (scan)
		err = find_blocker(zone, block_range(block), block_range(block), false, fail);
	if (err)
		return err;
	pageblock_set_isolated(zone, block, true);
	MM_EVENT(zone->mem, ISO_BLOCKS);
	return 0;
}
