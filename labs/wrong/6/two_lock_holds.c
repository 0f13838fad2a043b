/* SPDX-License-Identifier: MIT */
/*
 * title: scan and bit are two lock holds: what is allocated between them stays
 * layer: explorer
 * file: mm/hotplug/page_isolation.c
 */

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	int err = scan ? find_blocker(zone, block_range(*pfn), range, false, fail) : 0;

	zone_unlock_irqrestore(zone, flags);
	if (err)
		return err;
	sched_point("iso.scanned");
	flags = zone_lock_irqsave(zone);
	err = isolate_block(zone, *pfn, false, range, fail);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	zone_unlock_irqrestore(zone, flags);
	return err;
}
