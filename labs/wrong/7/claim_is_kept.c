/* SPDX-License-Identifier: MIT */
/*
 * title: an offline that failed keeps its claim on the range
 * layer: model
 * file: mm/hotplug/offline.c
 */

static int offline_claimed(struct offline_op *op, struct range_claim *claim)
{
	int off = op->evac.policy->enter(op->zone, &op->evac.cost), err = off;

	if (!err)
		err = offline_isolated(op);
	if (!err)
		offline_commit(op, claim);
	if (!off)
		op->evac.policy->leave(op->zone, &op->evac.cost);
	offline_count(op);
	return err;
}
