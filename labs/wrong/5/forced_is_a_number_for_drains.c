/* SPDX-License-Identifier: MIT */
/*
 * title: a forced round that drains nothing counts for drains that wait
 * layer: explorer
 * file: mm/core/drain.c
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	int asked;

	rounds_lock(mem);
	WRITE_ONCE(mem->round_started, mem->round_started + 1);
	full_barrier();
	asked = drain_round(&req, true);
	WRITE_ONCE(mem->round_done, mem->round_started);
	MM_EVENT(mem, DRAIN_FORCED);
	rounds_unlock(mem);
	return asked;
}
