/* SPDX-License-Identifier: MIT */
/*
 * title: the scan takes the lock once for each pageblock, free or not
 * file: mm/page_isolation.c
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	pfn_t pfn;
	int err = 0;

	for_each_block(pfn, range) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_in_way(zone, pfn, range, false, fail);
		zone_unlock_irqrestore(zone, flags);
		if (err)
			break;
	}
	return err;
}
