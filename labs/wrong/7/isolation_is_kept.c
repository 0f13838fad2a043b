/* SPDX-License-Identifier: MIT */
/*
 * title: where a page cannot be moved the pageblocks stay isolated
 * layer: model
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
	if (!err && op->opts->on_commit)
		op->opts->on_commit(op->opts->arg);
	return err;
}
