/* SPDX-License-Identifier: MIT */
/*
 * title: a call that may not sleep is not counted
 * layer: contract
 * file: mm/hotplug/contig.c
 */

int alloc_contig_range(
    struct memory *mem, pfn_t start, pfn_t end, enum migratetype type, struct mm_fail *fail)
{
	struct mm_fail local;
	struct evacuation e = {.range = {start, end},
	    .fail = fail ? fail : &local,
	    .policy = iso_ops(READ_ONCE(mem->policy))};
	int err, off = -1;

	if (!may_sleep())
		return -EDEADLK;
	err = contig_check(mem, e.range, type, &e.zone, e.fail);
	if (!err)
		err = off = e.policy->enter(e.zone, &e.cost);
	if (!err) {
		e.deadline = deadline_from_now(DEADLINE_NS);
		err = contig_isolated(&e, type);
	}
	if (off == 0)
		e.policy->leave(e.zone, &e.cost);
	mem_event_add(mem, err ? EV_CONTIG_FAIL : EV_CONTIG_OK, 1);
	return err;
}
