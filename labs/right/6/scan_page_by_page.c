/* SPDX-License-Identifier: MIT */
/*
 * title: the scan reads each page's word itself, under the lock of its pageblock
 * file: mm/hotplug/page_isolation.c
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	int err = 0;
	pfn_t block;

	for_each_block(block, range) {
		irqflags_t flags = zone_lock_irqsave(zone);
		pfn_t pfn = block, end = block + PAGEBLOCK_PAGES;

		while (pfn < end && !err) {
			unsigned long nr = 1UL << word_order(block_word(zone->mem, pfn));
			enum mm_why why = blocker_reason(zone, pfn, true);

			if (ranges_meet(range, pfn_range(pfn, nr)) && why != WHY_NONE &&
			    why != WHY_BUSY)
				err = mm_fail(fail, pfn, why, -EBUSY);
			pfn += nr;
		}
		zone_unlock_irqrestore(zone, flags);
		if (err)
			break;
	}
	return err;
}
