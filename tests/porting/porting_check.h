/* SPDX-License-Identifier: MIT */
/*
 * porting_check.h: does a port do what mm/ relies on?  Link porting_check.c into your kernel, or
 * see tools/lib.mk.
 */
#ifndef QUARRY_PORTING_CHECK_H
#define QUARRY_PORTING_CHECK_H

/*
 * Run all checks, print a line for each and a closing one.  Returns how many failed.
 * Context: a thread on any CPU, irqs on, no lock held; the CPUs of cpu_online_mask answer calls,
 * and nothing else runs on them.  Before kernel_memory is set up: the caches of the CPUs are
 * written to, and left as zeros.
 */
int porting_check(void);

/*
 * Of a port that runs as a process: bring up @cpus CPUs, or as many as there are.
 * tests/porting/main.c calls it.
 */
void port_start(unsigned cpus);

#endif
