/* SPDX-License-Identifier: MIT */
/*
 * title: a forced round drains, whatever it was asked to call
 * layer: model
 * file: mm/drain.c
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = pcp_drain_zone_local};
	int asked;

	rounds_lock(mem);
	asked = drain_round(&req, true);
	rounds_unlock(mem);
	return asked;
}
