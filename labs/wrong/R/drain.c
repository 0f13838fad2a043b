/* SPDX-License-Identifier: MIT */
/*
 * name: number_after_the_look
 * title: the number is stored after the counts were read: a round under way has the old one
 * layer: explorer
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked = 0;
	u64 ticket;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	full_barrier();
	ticket = load_after_stores(&mem->round_started);
	sched_point("look.round");
	rounds_lock(mem);
	if (mem->round_done <= ticket) {
		full_barrier();
		asked = drain_round(&req, false);
		if (!zone)
			WRITE_ONCE(mem->round_started, mem->round_started + 1);
		if (!zone)
			WRITE_ONCE(mem->round_done, mem->round_started);
		MM_EVENT(mem, DRAIN_ROUNDS);
		MM_EVENT_ADD(mem, DRAIN_ASKED, (u64)asked);
	}
	rounds_unlock(mem);
	return asked;
}
