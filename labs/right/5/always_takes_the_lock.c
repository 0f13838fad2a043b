/* SPDX-License-Identifier: MIT */
/*
 * title: a drain looks at no count before it has the locks; the round decides
 * file: mm/drain.c
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	return drain_cached(mem, zone);
}

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	u64 before;
	int asked = 0;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	full_barrier();
	before = READ_ONCE(mem->round_started);
	rounds_lock(mem);
	if (mem->round_done > before) {
		rounds_unlock(mem);
		return 0;
	}
	if (!zone)
		WRITE_ONCE(mem->round_started, mem->round_started + 1);
	full_barrier();
	asked = drain_round(&req, false);
	if (!zone)
		WRITE_ONCE(mem->round_done, mem->round_done + 1);
	rounds_unlock(mem);
	return asked;
}
