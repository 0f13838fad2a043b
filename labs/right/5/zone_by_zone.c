/* SPDX-License-Identifier: MIT */
/*
 * title: a drain of all zones is one of each; by no shortcut where nothing seems cached
 * file: mm/core/drain.c
 */

static int drain_one(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};

	full_barrier();
	return drain_round(&req, false);
}

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id;
	int asked = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	for (id = 0; id < mem->nr_nodes * NR_ZONE_KINDS; id++) {
		if (zone_has_span(&mem->zones[id]) && (!zone || zone->id == id))
			asked += drain_one(mem, &mem->zones[id]);
	}
	rounds_unlock(mem);
	return asked;
}
