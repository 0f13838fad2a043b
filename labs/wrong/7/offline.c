/* SPDX-License-Identifier: MIT */
/*
 * name: broken_pages_come_back
 * title: a pageblock that comes back is free as a whole, its broken pages too
 * layer: model
 */

void block_go_online(struct zone *zone, pfn_t pfn)
{
	struct pageblock *pb = pageblock_of(zone->mem, pfn);

	pageblock_set_state(zone, pfn, PB_ONLINE);
	zone->present += PAGEBLOCK_PAGES;
	zone->managed += PAGEBLOCK_PAGES;
	pb->nr_poisoned = 0;
	buddy_block_online(zone, pfn);
}

/*
 * name: caches_stay_off
 * title: after an offline that failed the caches stay switched off
 * layer: model
 */

static int offline_claimed(struct offline_op *op, struct range_claim *claim)
{
	int err = op->evac.policy->enter(op->zone, &op->evac.cost);

	if (!err)
		err = offline_isolated(op);
	if (err) {
		drop_claim(op->mem, claim);
		offline_count(op);
		return err;
	}
	offline_commit(op, claim);
	op->evac.policy->leave(op->zone, &op->evac.cost);
	offline_count(op);
	return 0;
}

/*
 * name: counted_at_both_ends
 * title: each chunk takes the pages of all of the operation's range off the zone's counts
 * layer: model
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range)
{
	struct zone *zone = op->zone;
	irqflags_t flags = zone_lock_irqsave(zone);
	pfn_t pfn;

	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES) {
		pageblock_set_offline(zone, pfn);
		zone->present -= range_pages(range);
		zone->managed -= range_pages(range);
	}
	zone_unlock_irqrestore(zone, flags);
	zone_set_watermarks(zone);
}

/*
 * name: free_pages_only_counted
 * title: only the free pages of a pageblock leave the counts: retired ones stay managed
 * layer: explorer
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range)
{
	struct zone *zone = op->zone;
	pfn_t pfn;

	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);
		unsigned free = pageblock_of(op->mem, pfn)->nr_free;

		zone->present -= PAGEBLOCK_PAGES;
		zone->managed -= free;
		pageblock_set_offline(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
	zone_set_watermarks(zone);
}

/*
 * name: marks_are_kept
 * title: the watermarks are still those of the larger zone
 * layer: contract
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range)
{
	struct zone *zone = op->zone;
	pfn_t pfn;

	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		zone->present -= PAGEBLOCK_PAGES;
		zone->managed -= PAGEBLOCK_PAGES;
		pageblock_set_offline(zone, pfn);
		zone_unlock_irqrestore(zone, flags);
	}
}

/*
 * name: undoes_what_it_has_not
 * title: an isolation that was refused is undone, that of the other operation too
 * layer: model
 */

static int offline_isolated(struct offline_op *op)
{
	struct pfn_range range = op->evac.range;
	int err = isolate_range(op->mem, range, op->evac.policy, &op->res->fail, &op->evac.cost);

	if (!err) {
		if (op->opts->on_isolated)
			op->opts->on_isolated(op->opts->arg);
		op->evac.zone = op->zone;
		err = evacuate(&op->evac);
	}
	if (err)
		undo_isolate_page_range(op->mem, range.start, range_pages(range));
	else if (op->opts->on_commit)
		op->opts->on_commit(op->opts->arg);
	return err;
}

/*
 * name: whole_chunk_in_one_hold
 * title: the whole chunk goes offline in one hold of the zone lock
 * layer: explorer
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range) REQUIRES(mem_hotplug_class)
{
	struct zone *zone = op->zone;
	irqflags_t flags = zone_lock_irqsave(zone);
	pfn_t pfn;

	zone_add_pages(zone, range.start - range.end, range.start - range.end);
	for (pfn = range.start; pfn < range.end; pfn += PAGEBLOCK_PAGES)
		pageblock_set_offline(zone, pfn);
	zone_unlock_irqrestore(zone, flags);
	zone_set_watermarks(zone);
}
