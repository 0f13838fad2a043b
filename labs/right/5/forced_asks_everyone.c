/* SPDX-License-Identifier: MIT */
/*
 * title: a forced round needs no mask: it calls all CPUs that are online
 * file: mm/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	if (force)
		return smp_call_mask(NULL, drain_handler, req);
	expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		bool wanted = cpumask_test(cpu_online_mask, cpu) &&
		    seems_to_cache_any(mem, cpu, req->zone);

		if (wanted)
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}
