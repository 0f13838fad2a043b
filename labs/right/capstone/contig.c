/* SPDX-License-Identifier: MIT */
/*
 * name: early_ways_out
 * title: each step has its own way out; types are changed as pages are taken
 */

static void take_block(struct zone *zone, struct pfn_range part, pfn_t *bad)
{
	irqflags_t flags = zone_lock_irqsave(zone);

	*bad = poison_first(zone->mem, part.start, part.end);
	if (*bad == PFN_NONE)
		buddy_take_range(zone, part.start, part.end);
	zone_unlock_irqrestore(zone, flags);
}

static pfn_t take_range(struct zone *zone, struct pfn_range range)
{
	struct pfn_range part = range;
	pfn_t bad;

	while (part.start < range.end) {
		part.end =
		    MIN(range.end, ALIGN_DOWN(part.start, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES);
		take_block(zone, part, &bad);
		if (bad != PFN_NONE) {
			free_contig_range(zone->mem, range.start, part.start - range.start);
			return bad;
		}
		part.start = part.end;
	}
	return PFN_NONE;
}

static int contig_isolated(struct evacuation *e, enum migratetype type)
{
	struct pfn_range blocks = range_blocks(e->range);
	struct zone *zone;
	pfn_t bad = PFN_NONE;
	int err = isolate_range(e->zone->mem, e->range, e->policy, e->fail, &e->cost);

	if (err)
		return err;
	err = contig_check(e->zone->mem, e->range, type, &zone, e->fail);
	if (!err && zone != e->zone)
		err = mm_fail(e->fail, e->range.start, WHY_ZONES, -EINVAL);
	if (!err)
		err = evacuate(e);
	if (err == -ETIMEDOUT)
		err = -EBUSY;
	if (!err)
		bad = take_range(e->zone, e->range);
	if (!err && bad == PFN_NONE)
		set_types(e->zone, e->range, type);
	undo_isolate_page_range(e->zone->mem, blocks.start, range_pages(blocks));
	if (bad != PFN_NONE)
		err = mm_fail(e->fail, bad, WHY_HWPOISON, -EBUSY);
	return err;
}
