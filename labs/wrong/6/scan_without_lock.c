/* SPDX-License-Identifier: MIT */
/*
 * title: the scan reads the words without the lock, for a free cannot hurt it
 * layer: explorer
 * file: mm/hotplug/page_isolation.c
 */

static int first_blocker(
    struct zone *zone, pfn_t block, struct pfn_range range, struct mm_fail *fail) NO_LOCK_ANALYSIS
{
	pfn_t pfn;

	for (pfn = block; pfn < block + PAGEBLOCK_PAGES; pfn++) {
		u32 word = page_word(pfn_to_page_in(zone->mem, pfn));
		enum mm_why why;

		if (word_state(word) == PG_TAIL)
			continue;
		why = blocker_reason(zone, pfn, false);
		if (ranges_meet(range, pfn_range(pfn, 1UL << word_order(word))) &&
		    why != WHY_NONE && why != WHY_BUSY)
			return mm_fail(fail, pfn, why, -EBUSY);
	}
	return 0;
}

static int isolate_section(
    struct zone *zone, pfn_t *pfn, bool scan, struct pfn_range range, struct mm_fail *fail)
{
	int err = scan ? first_blocker(zone, *pfn, range, fail) : 0;
	irqflags_t flags;

	if (err)
		return err;
	flags = zone_lock_irqsave(zone);
	err = isolate_block(zone, *pfn, false, range, fail);
	*pfn += err ? 0 : PAGEBLOCK_PAGES;
	zone_unlock_irqrestore(zone, flags);
	return err;
}
