/* SPDX-License-Identifier: MIT */
/*
 * title: a forced drain asks all CPUs but its own
 * layer: contract
 * file: mm/core/drain.c
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	unsigned cpu;
	int asked;

	rounds_lock(mem);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpu == arch_cpu_id() || !cpumask_test(cpu_online_mask, cpu))
			cpumask_clear(mem->drain_mask, cpu);
		else
			cpumask_set(mem->drain_mask, cpu);
	}
	asked = smp_call_mask(mem->drain_mask, drain_handler, &req);
	rounds_unlock(mem);
	return asked;
}
