/* SPDX-License-Identifier: MIT */
/*
 * title: the loop over CPUs ends with the caller's own number
 * layer: model
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		cpumask_clear(mem->drain_mask, cpu);
	for (cpu = 0; cpu <= arch_cpu_id() && cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}
