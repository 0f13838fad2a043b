/* SPDX-License-Identifier: MIT */
/*
 * title: a forced drain asks all CPUs, and takes no lock
 * layer: contract
 * file: mm/core/drain.c
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};

	return smp_call_mask(NULL, drain_handler, &req);
}
