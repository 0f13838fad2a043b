/* SPDX-License-Identifier: MIT */
/*
 * clock.c: the clock, based on the time stamp counter.
 *
 * Owns:       where the clock stands.
 * Locks:      none: written before the other CPUs start.
 * Invariants: arch_clock_ns() never goes back on one CPU, not even across clock_init().
 * Tests:      play_clock, arch_cpu, tick, tests/qemu/test_arch.py.
 */
#include <quarry/machine.h>
#include <quarry/port.h>

#include "clock.h"
#include "x86.h"

static struct tsc_clock tsc_clock = TSC_CLOCK;

u64 arch_ticks_ns(u64 at)
{
	return tsc_clock_at(&tsc_clock, at);
}

u64 arch_clock_ns(void)
{
	return tsc_clock_now(&tsc_clock, arch_tsc());
}

void clock_init(void)
{
	clock_measure();
	tsc_clock_set(&tsc_clock, arch_tsc(), clock_tsc_hz);
}
