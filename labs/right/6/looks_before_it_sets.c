/* SPDX-License-Identifier: MIT */
/*
 * title: all pageblocks are looked at, without changing any, before the first bit is set
 * file: mm/hotplug/page_isolation.c
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range), done = {blocks.start, blocks.start};
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	/* A hint: the bits are read again under the lock. */
	for_each_block(pfn, blocks) {
		const struct pageblock *pb = pageblock_of(mem, pfn);

		if (pageblock_state(pb) != PB_ONLINE)
			return mm_fail(fail, pfn, WHY_ALREADY, -EINVAL);
		if (pageblock_isolated(pb))
			return mm_fail(fail, pfn, WHY_ISOLATED, -EBUSY);
	}
	atomic_add(&mem->iso_pending, 1u);
	while (!err && done.end < blocks.end)
		err = isolate_section(zone, &done.end, policy->caches_off, range, fail);
	if (!err && !policy->caches_off)
		err = policy->bits_set(zone, cost);
	if (!err && !policy->caches_off)
		err = scan_unmovable(zone, range, fail);
	if (err && done.end > done.start)
		undo_isolate_page_range(mem, done.start, range_pages(done));
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}
