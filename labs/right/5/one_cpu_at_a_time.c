/* SPDX-License-Identifier: MIT */
/*
 * title: a round asks one CPU after the other, the last one first
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu, other;
	int asked = 0;

	for (cpu = mem->nr_cpus; cpu-- > 0;) {
		if (!cpumask_test(cpu_online_mask, cpu))
			continue;
		if (!force && !seems_to_cache_any(mem, cpu, req->zone))
			continue;
		for (other = 0; other < mem->nr_cpus; other++)
			cpumask_clear(mem->drain_mask, other);
		cpumask_set(mem->drain_mask, cpu);
		asked += smp_call_mask(mem->drain_mask, drain_handler, req);
	}
	return asked;
}
