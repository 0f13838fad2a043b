/* SPDX-License-Identifier: MIT */
/*
 * title: the scan begins at the end, so that it names the last pageblock's page
 * layer: contract
 * file: mm/hotplug/page_isolation.c
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn = ALIGN_UP(range.end, PAGEBLOCK_PAGES);
	int err = 0;

	while (pfn > range.start && !err) {
		irqflags_t flags;

		pfn -= PAGEBLOCK_PAGES;
		flags = zone_lock_irqsave(zone);
		err = find_blocker(zone, block_range(pfn), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
	}
	return err;
}
