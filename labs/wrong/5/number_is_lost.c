/* SPDX-License-Identifier: MIT */
/*
 * title: a round that asks no CPU, if one believes it: the number of those asked is lost
 * layer: contract
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	if (!force)
		expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		cpumask_clear(mem->drain_mask, cpu);
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
	}
	smp_call_mask(mem->drain_mask, drain_handler, req);
	return 0;
}
