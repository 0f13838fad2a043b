/* SPDX-License-Identifier: MIT */
/*
 * title: the scan after the round begins at the range's first page, and leaves its last piece out
 * layer: contract
 * file: mm/hotplug/page_isolation.c
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn = range.start;
	int err = 0;

	for (; pfn + SCAN_PIECE < range.end && !err; pfn += SCAN_PIECE) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, pfn_range(pfn, SCAN_PIECE), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
	}
	return err;
}
