/* SPDX-License-Identifier: MIT */
/*
 * title: a disable holds the mutex, while CPUs may come and go
 * layer: explorer
 * file: mm/core/drain.c
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&mem->pcp_ctl);
	if (zone->pcp_depth >= 65535) {
		err = -EOVERFLOW;
	} else {
		WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
		if (zone->pcp_depth == 1) {
			cost->ipis += (unsigned)refresh_round(mem, zone);
			cost->rounds++;
		}
	}
	mutex_unlock(&mem->pcp_ctl);
	return err;
}
