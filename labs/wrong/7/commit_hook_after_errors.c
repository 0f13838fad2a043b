/* SPDX-License-Identifier: MIT */
/*
 * title: on_commit is called after an evacuation that failed, too
 * layer: contract
 * file: mm/hotplug/offline.c
 */

static int offline_isolated(struct offline_op *op)
{
	struct pfn_range range = op->evac.range;
	int err = isolate_range(op->mem, range, op->evac.policy, &op->res->fail, &op->evac.cost);

	if (err)
		return err;
	if (op->opts->on_isolated)
		op->opts->on_isolated(op->opts->arg);
	op->evac.zone = op->zone;
	err = evacuate(&op->evac);
	if (op->opts->on_commit)
		op->opts->on_commit(op->opts->arg);
	if (err) {
		undo_isolate_page_range(op->mem, range.start, range_pages(range));
		return err;
	}
	return 0;
}
