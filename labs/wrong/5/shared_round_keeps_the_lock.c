/* SPDX-License-Identifier: MIT */
/*
 * title: who finds that another round will do returns with the locks
 * layer: explorer
 * file: mm/core/drain.c
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked;
	u64 ticket;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	full_barrier();
	ticket = load_after_stores(&mem->round_started);
	rounds_lock(mem);
	if (mem->round_done > ticket)
		return 0;
	if (!zone)
		WRITE_ONCE(mem->round_started, mem->round_started + 1);
	full_barrier();
	asked = drain_round(&req, false);
	if (!zone)
		WRITE_ONCE(mem->round_done, mem->round_started);
	rounds_unlock(mem);
	return asked;
}
