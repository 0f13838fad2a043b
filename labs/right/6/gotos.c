/* SPDX-License-Identifier: MIT */
/*
 * title: isolate_range with one way out for each step that may fail
 * file: mm/page_isolation.c
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	pfn_t pfn = blocks.start;
	struct zone *zone;
	int err;

	err = range_zone(mem, blocks, &zone, fail);
	if (err)
		return err;
	if (policy->caches_off && !READ_ONCE(zone->pcp_depth))
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	atomic_add(&mem->iso_pending, 1u);
	while (pfn < blocks.end) {
		irqflags_t flags = zone_lock_irqsave(zone);

		err = isolate_block(zone, pfn, policy->caches_off, range, fail);
		zone_unlock_irqrestore(zone, flags);
		if (err)
			goto undo;
		pfn += PAGEBLOCK_PAGES;
	}
	if (policy->caches_off)
		goto out;
	err = policy->bits_set(zone, cost);
	if (err)
		goto undo;
	err = scan_unmovable(zone, range, fail);
	if (!err)
		goto out;
undo:
	undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
out:
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}
