/* SPDX-License-Identifier: MIT */
/*
 * title: on a conflict the bits of the whole range are taken back, those of the other operation too
 * layer: model
 * file: mm/hotplug/page_isolation.c
 */

int isolate_range(struct memory *mem, struct pfn_range range, const struct iso_ops *policy,
    struct mm_fail *fail, struct drain_cost *cost)
{
	struct pfn_range blocks = range_blocks(range);
	struct zone *zone;
	int err = range_zone(mem, blocks, &zone, fail);
	pfn_t pfn = blocks.start;

	if (err)
		return err;
	if (policy->caches_off && READ_ONCE(zone->pcp_depth) == 0)
		return mm_fail(fail, blocks.start, WHY_BUSY, -EINVAL);
	if (!may_sleep())
		return -EDEADLK;
	atomic_add(&mem->iso_pending, 1u);
	while (!err && pfn < blocks.end)
		err = isolate_section(zone, &pfn, policy->caches_off, range, fail);
	if (!err && !policy->caches_off)
		err = policy->bits_set(zone, cost);
	if (!err && !policy->caches_off)
		err = scan_unmovable(zone, range, fail);
	if (err)
		undo_isolate_page_range(mem, blocks.start, range_pages(blocks));
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}
