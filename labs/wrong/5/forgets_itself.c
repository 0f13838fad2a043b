/* SPDX-License-Identifier: MIT */
/*
 * title: a drain asks all other CPUs, and forgets its own
 * layer: model
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpu != arch_cpu_id() && cpumask_test(cpu_online_mask, cpu))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}
