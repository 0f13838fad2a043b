/* SPDX-License-Identifier: MIT */
/*
 * start_host.c: arch/host for porting_check: its CPUs, without a memory.
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
