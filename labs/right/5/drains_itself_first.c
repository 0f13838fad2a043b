/* SPDX-License-Identifier: MIT */
/*
 * title: a drain empties the caller's own cache by hand, and asks the others
 * file: mm/core/drain.c
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	unsigned cpu, self;
	int asked;

	if (!may_sleep())
		return -EDEADLK;
	drain_local_pages(mem, zone);
	rounds_lock(mem);
	full_barrier();
	self = arch_cpu_id();
	for (cpu = 0; cpu < nr_cpus && cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (cpu == self || seems_to_cache_any(mem, cpu, zone)))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	asked = smp_call_mask(mem->drain_mask, drain_handler, &req);
	rounds_unlock(mem);
	return asked;
}
