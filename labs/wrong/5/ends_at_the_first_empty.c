/* SPDX-License-Identifier: MIT */
/*
 * title: the choice of CPUs ends at the first that caches nothing
 * layer: model
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu = 0;

	while (cpu < mem->nr_cpus && (force || seems_to_cache_any(mem, cpu, req->zone))) {
		if (cpumask_test(cpu_online_mask, cpu))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
		cpu++;
	}
	for (; cpu < mem->nr_cpus; cpu++)
		cpumask_clear(mem->drain_mask, cpu);
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}
