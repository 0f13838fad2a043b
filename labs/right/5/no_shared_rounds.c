/* SPDX-License-Identifier: MIT */
/*
 * title: each drain makes a round of its own; nothing is counted
 * file: mm/core/drain.c
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	rounds_lock(mem);
	full_barrier();
	asked = drain_round(&req, false);
	rounds_unlock(mem);
	return asked;
}
