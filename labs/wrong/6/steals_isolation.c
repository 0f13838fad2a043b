/* SPDX-License-Identifier: MIT */
/*
 * title: a pageblock that another has isolated is taken for one's own
 * layer: model
 * file: mm/hotplug/page_isolation.c
 */

static int isolate_block(
    struct zone *zone, pfn_t block, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, block);
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE)
		err = mm_fail(fail, block, WHY_ALREADY, -EINVAL);
	else if (scan && !pageblock_all_free(pb))
		err = find_blocker(zone, block_range(block), range, false, fail);
	if (!err && !pageblock_isolated(pb)) {
		pageblock_set_isolated(zone, block, true);
		MM_EVENT(zone->mem, ISO_BLOCKS);
	}
	return err;
}
