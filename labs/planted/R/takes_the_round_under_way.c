/* SPDX-License-Identifier: MIT */
/*
 * title: a drain of one zone takes a round over all zones that was under way for its own
 * file: mm/core/drain.c
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked = 0;
	u64 ticket;

	if (!may_sleep())
		return smp_call_mask(
		    mem->drain_mask, drain_handler, &req); /* refused, with a report */
	full_barrier();
	/* A round over all zones drains each of them: one that ends later serves @zone too. */
	ticket = load_after_stores(zone ? &mem->round_done : &mem->round_started);
	sched_point("look.round");
	rounds_lock(mem);
	if (mem->round_done <= ticket) {
		KASSERT(ticket <= mem->round_started && mem->round_done == mem->round_started);
		if (!zone)
			WRITE_ONCE(mem->round_started, mem->round_started + 1);
		full_barrier();
		asked = drain_round(&req, false);
		if (!zone)
			WRITE_ONCE(mem->round_done, mem->round_started);
		MM_EVENT(mem, DRAIN_ROUNDS);
		MM_EVENT_ADD(mem, DRAIN_ASKED, (u64)asked);
	}
	rounds_unlock(mem);
	return asked;
}
