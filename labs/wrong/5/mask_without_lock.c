/* SPDX-License-Identifier: MIT */
/*
 * title: the CPUs are chosen before the lock is held: others write to the same mask
 * layer: explorer
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		cpumask_clear(mem->drain_mask, cpu);
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	rwsem_lock_shared(&cpu_hotplug);
	asked = drain_round(&req, false);
	rwsem_unlock_shared(&cpu_hotplug);
	return asked;
}
