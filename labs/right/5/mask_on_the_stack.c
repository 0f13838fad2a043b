/* SPDX-License-Identifier: MIT */
/*
 * title: each round has a mask of its own, and asks nobody if it is empty
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	cpumask_t mask[CPUMASK_WORDS(256)] = {0};
	bool any = false;
	unsigned cpu;

	if (!force)
		expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (!cpumask_test(cpu_online_mask, cpu))
			continue;
		if (!force && !seems_to_cache_any(mem, cpu, req->zone))
			continue;
		mask[cpu / CPUMASK_BITS] |= (cpumask_t)1 << (cpu % CPUMASK_BITS);
		any = true;
	}
	return any ? smp_call_mask(mask, drain_handler, req) : 0;
}
