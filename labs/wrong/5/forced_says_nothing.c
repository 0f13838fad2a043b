/* SPDX-License-Identifier: MIT */
/*
 * title: a forced drain returns 0, whoever was asked
 * layer: contract
 * file: mm/core/drain.c
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};

	rounds_lock(mem);
	drain_round(&req, true);
	MM_EVENT(mem, DRAIN_FORCED);
	rounds_unlock(mem);
	return 0;
}
