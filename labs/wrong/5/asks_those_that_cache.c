/* SPDX-License-Identifier: MIT */
/*
 * title: a disable asks only the CPUs that seem to cache, and misses a push under way
 * layer: explorer
 * file: mm/core/drain.c
 */

static int refresh_round(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_refresh_zone_local};

	return drain_round(&req, false);
}
