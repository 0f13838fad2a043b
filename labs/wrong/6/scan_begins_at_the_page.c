/* SPDX-License-Identifier: MIT */
/*
 * title: the scan begins at the range's first page: a block that begins before it is not seen
 * layer: contract
 * file: mm/hotplug/page_isolation.c
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn = range.start;
	int err = 0;

	while (pfn < range.end && !err) {
		pfn_t end = MIN(range.end, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, (struct pfn_range){pfn, end}, range, false, fail);
		zone_unlock_irqrestore(zone, flags);
		pfn = end;
	}
	return err;
}
