/* SPDX-License-Identifier: MIT */
/*
 * title: the scan goes on after a blocker: the answer is that of the last pageblock
 * layer: model
 * file: mm/hotplug/page_isolation.c
 */

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	int err = 0;
	pfn_t pfn;

	for_each_block(pfn, range)
		err = find_blocker(zone, block_range(pfn), range, false, fail);
	zone_unlock_irqrestore(zone, flags);
	return err;
}
