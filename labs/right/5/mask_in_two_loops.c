/* SPDX-License-Identifier: MIT */
/*
 * title: the mask is cleared first, then filled; the number is counted by hand
 * file: mm/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu, want = 0;
	int asked;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		cpumask_clear(mem->drain_mask, cpu);
	expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (!cpumask_test(cpu_online_mask, cpu))
			continue;
		if (!force && !seems_to_cache_any(mem, cpu, req->zone))
			continue;
		cpumask_set(mem->drain_mask, cpu);
		want++;
	}
	if (want == 0)
		return 0;
	asked = smp_call_mask(mem->drain_mask, drain_handler, req);
	return asked < 0 ? asked : (int)want;
}
