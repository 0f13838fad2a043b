/* SPDX-License-Identifier: MIT */
/*
 * title: an error takes back the bits of the range as it was given
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
	if (err) {
		undo_isolate_page_range(mem, blocks.start, pfn - blocks.start);
	} else if (!policy->caches_off) {
		err = policy->bits_set(zone, cost);
		if (!err)
			err = scan_unmovable(zone, range, fail);
		if (err)
			undo_isolate_page_range(mem, range.start, range_pages(range));
	}
	atomic_sub(&mem->iso_pending, 1u);
	return err;
}
