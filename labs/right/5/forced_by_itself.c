/* SPDX-License-Identifier: MIT */
/*
 * title: a forced drain builds its own mask and asks, without drain_round
 * file: mm/drain.c
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req;
	unsigned cpu;
	int asked;

	memset(&req, 0, sizeof(req));
	req.mem = mem;
	req.zone = NULL;
	req.one = one;
	rounds_lock(mem);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	asked = smp_call_mask(mem->drain_mask, drain_handler, &req);
	rounds_unlock(mem);
	return asked;
}
