/* SPDX-License-Identifier: MIT */
/*
 * title: after an offline that failed the caches stay switched off
 * layer: model
 * file: mm/hotplug/offline.c
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
