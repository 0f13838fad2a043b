/* SPDX-License-Identifier: MIT */
/*
 * title: the bit is set first, and the checks that come after it do not take it back
 * layer: model
 * file: mm/hotplug/page_isolation.c
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);

	if (pageblock_state(pb) != PB_ONLINE)
		return mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pb)) {
		MM_EVENT(zone->mem, ISO_CONFLICT);
		return mm_fail(fail, block, WHY_ISOLATED, -EBUSY);
	}
	pageblock_set_isolated(zone, block, true);
	MM_EVENT(zone->mem, ISO_BLOCKS);
	return scan ? find_blocker(zone, block_range(block), range, false, fail) : 0;
}
