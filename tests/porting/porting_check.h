/* SPDX-License-Identifier: MIT */
/*
 * porting_check.h: does a port do what mm/ relies on?  Link porting_check.c into your kernel, or
 * see tools/run/lib.mk.
 */
#ifndef QUARRY_PORTING_CHECK_H
#define QUARRY_PORTING_CHECK_H

/*
 * Run all checks, print a line for each and a closing line.  Returns the number of failed checks.
 * Context: a thread on any CPU, irqs on, no lock held; the CPUs of cpu_online_mask answer calls,
 * and nothing else runs on them.  Call it before kernel_memory is set up: it writes to the caches
 * of the CPUs, and leaves zeros there.
 */
int porting_check(void);

/*
 * A port that runs as a process defines it: bring up @cpus CPUs, or all if there are fewer.
 * tests/porting/main.c calls it.
 */
void port_start(unsigned cpus);

#endif
