/* SPDX-License-Identifier: MIT */
/*
 * title: the round of an isolation asks only the CPUs that seem to cache
 * layer: explorer
 * file: mm/core/drain.c
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	int asked;

	rounds_lock(mem);
	asked = drain_round(&req, false);
	MM_EVENT(mem, DRAIN_FORCED);
	rounds_unlock(mem);
	return asked;
}
