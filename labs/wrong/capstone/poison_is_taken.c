/* SPDX-License-Identifier: MIT */
/*
 * title: what is retired in the range is found out after pages were taken, and these are kept
 * layer: contract
 * file: mm/hotplug/contig.c
 */

static pfn_t take_range(struct zone *zone, struct pfn_range range)
{
	pfn_t pfn, next, bad = PFN_NONE;

	for (pfn = range.start; pfn < range.end; pfn = next) {
		irqflags_t flags = zone_lock_irqsave(zone);

		next = MIN(range.end, block_range(pfn).end);
		bad = poison_first(zone->mem, pfn, next);
		if (bad == PFN_NONE)
			buddy_take_range(zone, pfn, next);
		zone_unlock_irqrestore(zone, flags);
		if (bad != PFN_NONE)
			return bad;
	}
	return PFN_NONE;
}
