/* SPDX-License-Identifier: MIT */
/*
 * title: an isolation that was refused is undone, that of the other operation too
 * layer: model
 * file: mm/hotplug/offline.c
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
