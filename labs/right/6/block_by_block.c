/* SPDX-License-Identifier: MIT */
/*
 * title: a lock hold for each pageblock; the undo goes from the end to the start
 * file: mm/hotplug/page_isolation.c
 */

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	int err = isolate_block(zone, *pfn, scan, range, fail);

	zone_unlock_irqrestore(zone, flags);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	return err;
}

int scan_unmovable(struct zone *zone, struct pfn_range range, struct mm_fail *fail)
{
	int err = 0;
	pfn_t pfn;

	for_each_block(pfn, range) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = find_blocker(zone, block_range(pfn), range, false, fail);
		zone_unlock_irqrestore(zone, flags);
		if (err)
			break;
	}
	return err;
}

void undo_isolate_page_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	pfn_t pfn = start + nr;

	if (!range_ok(mem, pfn_range(start, nr)))
		return;
	while (pfn > start) {
		struct zone *zone;
		irqflags_t flags;

		pfn -= PAGEBLOCK_PAGES;
		zone = zone_of(mem, pfn);
		flags = zone_lock_irqsave(zone);
		if (pageblock_isolated(pageblock_of(mem, pfn)))
			pageblock_set_isolated(zone, pfn, false);
		zone_unlock_irqrestore(zone, flags);
	}
}
