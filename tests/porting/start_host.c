/* SPDX-License-Identifier: MIT */
/*
 * start_host.c: starts the CPUs of arch/host for porting_check; it builds no struct memory.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 */
#include "host.h"
#include "porting_check.h"
#include <quarry/smp.h>

void port_start(unsigned cpus)
{
	unsigned cpu;

	host_cpus_start(cpus);
	smp_init();
	for (cpu = 0; cpu < nr_cpus; cpu++)
		cpu_set_online(cpu);
}
