/* SPDX-License-Identifier: MIT */
/*
 * title: state and bit of a pageblock are looked at before the lock is taken
 * layer: explorer
 * file: mm/hotplug/page_isolation.c
 */

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	const struct pageblock *pb = pageblock_of(zone->mem, *pfn);
	irqflags_t flags;
	int err = 0;

	if (pageblock_state(pb) != PB_ONLINE)
		return mm_fail(fail, *pfn, WHY_ALREADY, -EINVAL);
	if (pageblock_isolated(pb))
		return mm_fail(fail, *pfn, WHY_ISOLATED, -EBUSY);
	flags = zone_lock_irqsave(zone);
	if (scan)
		err = find_blocker(zone, block_range(*pfn), range, false, fail);
	if (!err && !pageblock_isolated(pb))
		pageblock_set_isolated(zone, *pfn, true);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	zone_unlock_irqrestore(zone, flags);
	return err;
}
