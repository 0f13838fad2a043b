/* SPDX-License-Identifier: MIT */
/*
 * title: a drain is content with any round over all zones that has been made
 * layer: explorer
 * file: mm/drain.c
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked = 0;
	u64 ticket;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	ticket = READ_ONCE(mem->round_done);
	rounds_lock(mem);
	if (mem->round_done == ticket) {
		if (!zone)
			WRITE_ONCE(mem->round_started, mem->round_started + 1);
		full_barrier();
		asked = drain_round(&req, false);
		if (!zone)
			WRITE_ONCE(mem->round_done, mem->round_started);
	}
	rounds_unlock(mem);
	return asked;
}
