/* SPDX-License-Identifier: MIT */
/*
 * timer.c: the local APIC's timer, which ticks on each CPU, and the measurement of its rate.
 *
 * Owns:       the timer's registers, and tick_step of struct cpu.
 * Locks:      none: each CPU has its own timer.
 * Invariants: tick_step is 0 on a CPU whose timer is stopped.
 * Tests:      play_apic, arch_cpu, tick, tests/qemu/test_arch.py.
 */
#include <quarry/machine.h>
#include <quarry/port.h>

#include "x86.h"

#define APIC_TIMER_INIT 0x380
#define APIC_TIMER_DIV  0x3e0

#define LVT_PERIODIC 0x20000
#define TIMER_DIV_16 3
#define TICK_HZ      100

void arch_timer_init(void)
{
	apic_write(APIC_TIMER_DIV, TIMER_DIV_16);
	apic_write(APIC_TIMER_INIT, ~0u);
	clock_init();
	apic_write(APIC_TIMER_INIT, 0);
	printk("clock: TSC %lu MHz%s; APIC timer %lu MHz\n", clock_tsc_hz / 1000000,
	    cpu_has_invariant_tsc() ? "" : ", not invariant", clock_apic_hz * 16 / 1000000);
}

void arch_timer_start(u32 ticks)
{
	KASSERT(!arch_irqs_enabled());
	this_cpu()->tick_step = ticks;
	apic_write(APIC_TIMER_DIV, TIMER_DIV_16);
	apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC_TIMER);
	apic_write(APIC_TIMER_INIT, (u32)(clock_apic_hz / TICK_HZ) * ticks);
}

void arch_timer_stop(void)
{
	KASSERT(!arch_irqs_enabled());
	this_cpu()->tick_step = 0;
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_TIMER_INIT, 0);
}
