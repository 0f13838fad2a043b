/* SPDX-License-Identifier: MIT */
/*
 * name: one_more_round
 * title: it counts rounds that have ended, and one more if a round was under way
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked = 0;
	u64 ticket;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	full_barrier();
	ticket = load_after_stores(&mem->round_done);
	if (load_after_stores(&mem->round_started) != ticket)
		ticket++;
	sched_point("look.round");
	rounds_lock(mem);
	if (mem->round_done <= ticket) {
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

/*
 * name: own_round
 * title: a drain of one zone makes a round of its own
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
	if (zone || mem->round_done <= ticket) {
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
