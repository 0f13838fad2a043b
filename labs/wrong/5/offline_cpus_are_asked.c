/* SPDX-License-Identifier: MIT */
/*
 * title: a forced round asks CPUs that are offline, too
 * layer: explorer
 * file: mm/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	if (!force)
		expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		cpumask_clear(mem->drain_mask, cpu);
		if (force || seems_to_cache_any(mem, cpu, req->zone))
			cpumask_set(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}
