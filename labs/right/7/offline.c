/* SPDX-License-Identifier: MIT */
/*
 * name: block_by_block
 * title: each pageblock goes in a lock hold of its own, the last one first; the claim goes after
 *        the caches are on
 */

static void commit_chunk(struct offline_op *op, struct pfn_range range)
{
	struct zone *zone = op->zone;
	pfn_t pfn = range.end;

	while (pfn > range.start) {
		irqflags_t flags = zone_lock_irqsave(zone);

		pfn -= PAGEBLOCK_PAGES;
		pageblock_set_offline(zone, pfn);
		zone->present -= PAGEBLOCK_PAGES;
		zone->managed -= PAGEBLOCK_PAGES;
		zone_unlock_irqrestore(zone, flags);
	}
	zone_set_watermarks(zone);
}

static int offline_claimed(struct offline_op *op, struct range_claim *claim)
{
	const struct iso_ops *policy = op->evac.policy;
	int err = policy->enter(op->zone, &op->evac.cost);

	if (err) {
		drop_claim(op->mem, claim);
		offline_count(op);
		return err;
	}
	err = offline_isolated(op);
	if (!err)
		offline_commit(op, claim);
	policy->leave(op->zone, &op->evac.cost);
	if (err)
		drop_claim(op->mem, claim);
	offline_count(op);
	return err;
}
