/* SPDX-License-Identifier: MIT */
/*
 * title: before a part is taken all of its pageblock is searched for flagged pages
 * layer: contract
 * file: mm/hotplug/contig.c
 */

static pfn_t take_range(struct zone *zone, struct pfn_range range)
{
	pfn_t pfn, next, bad = PFN_NONE;

	for (pfn = range.start; pfn < range.end && bad == PFN_NONE; pfn = next) {
		irqflags_t flags = zone_lock_irqsave(zone);

		next = MIN(range.end, block_range(pfn).end);
		KASSERT(pageblock_isolated(pageblock_of(zone->mem, pfn)));
		bad = poison_first(zone->mem, block_range(pfn).start, block_range(pfn).end);
		if (bad == PFN_NONE)
			buddy_take_range(zone, pfn, next);
		zone_unlock_irqrestore(zone, flags);
		if (bad != PFN_NONE)
			free_contig_range(zone->mem, range.start, pfn - range.start);
	}
	return bad;
}
