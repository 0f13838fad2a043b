/* SPDX-License-Identifier: MIT */
/*
 * title: the first CPU that seems to hold pages is asked, and no other
 * layer: model
 * file: mm/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;
	bool found = false;

	expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		bool wanted = cpumask_test(cpu_online_mask, cpu) &&
		    (force || (!found && seems_to_cache_any(mem, cpu, req->zone)));

		if (wanted) {
			cpumask_set(mem->drain_mask, cpu);
			found = true;
		} else {
			cpumask_clear(mem->drain_mask, cpu);
		}
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}
