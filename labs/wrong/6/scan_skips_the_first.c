/* SPDX-License-Identifier: MIT */
/*
 * title: the scan begins at the first whole pageblock of the range
 * layer: contract
 * file: mm/hotplug/page_isolation.c
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn;
	int err = 0;

	for (pfn = ALIGN_UP(range.start, PAGEBLOCK_PAGES); pfn < range.end && !err;
	     pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, block_range(pfn), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
	}
	return err;
}
