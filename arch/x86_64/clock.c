/* SPDX-License-Identifier: MIT */
/*
 * clock.c: the clock, based on the time stamp counter.
 *
 * Owns:       the frequencies of TSC and APIC timer, measured once on the boot CPU.
 * Locks:      none: written before the other CPUs start.
 * Invariants: arch_clock_ns() never goes back on one CPU, not even across clock_init().
 * Tests:      play_clock, arch_clock, arch_cpu, tick, tests/qemu/test_clock.py.
 *
 * Both frequencies are measured against the ACPI power management timer, which runs at a known rate
 * on every machine and emulator; without it, against channel 2 of the old interval timer.  A round
 * takes 1 ms.  The host may stop the CPU between the readings of two clocks.  So each reading is
 * the tightest of several, and the round with the tightest readings is used.
 */
#include <quarry/acpi.h>
#include <quarry/machine.h>
#include <quarry/port.h>

#include "x86.h"

#define PM_TIMER_HZ 3579545ULL /* ACPI specification 4.8.3.3 */
#define PIT_HZ      1193182ULL
#define PIT_COUNT   1193 /* 1 ms */
#define ROUNDS      3
#define TRIES       5
/* The most passes of a busy loop that waits for hardware, which may be absent. */
#define SPIN_LIMIT 1000000

#define APIC_TIMER_COUNT 0x390

struct reading {
	u64 tsc, slack;
	u32 apic, pm;
};

u64 clock_tsc_hz, clock_apic_hz;

/* ns = base_ns + (tsc - base_tsc) * scale / 2^32 */
static u64 base_ns, base_tsc, scale = 1ULL << 32;

u64 arch_ticks_ns(u64 at)
{
	/* @at is a time before the last clock_init(). */
	if (unlikely(at < base_tsc))
		return base_ns -
		    MIN(base_ns, (u64)((unsigned __int128)(base_tsc - at) * scale >> 32));
	return base_ns + (u64)((unsigned __int128)(at - base_tsc) * scale >> 32);
}

u64 arch_clock_ns(void)
{
	u64 delta = arch_tsc() - base_tsc;

	return base_ns + (u64)((unsigned __int128)delta * scale >> 32);
}

static u32 pm_read(void)
{
	return acpi.pm_timer_port ? inl(acpi.pm_timer_port) & 0xffffff : 0;
}

static struct reading reading(void)
{
	struct reading best = {.slack = ~0ULL};

	for (unsigned i = 0; i < TRIES; i++) {
		u64 before = arch_tsc();
		u32 pm = pm_read();
		u32 apic = apic_read(APIC_TIMER_COUNT);
		u64 after = arch_tsc();

		if (after - before < best.slack)
			best = (struct reading){
			    before + (after - before) / 2, after - before, apic, pm};
	}
	return best;
}

static bool pit_expired(void)
{
	return inb(0x61) & 0x20;
}

/*
 * Start the interval timer's channel 2: one-shot, its gate on, its speaker off.  False: there is
 * none.
 */
static bool pit_start(void)
{
	outb(0x61, (inb(0x61) & 0xfc) | 0x01);
	outb(0x43, 0xb0);
	outb(0x42, PIT_COUNT & 0xff);
	outb(0x42, PIT_COUNT >> 8);
	return !pit_expired(); /* a missing device reads as ones */
}

/* Wait for about a millisecond.  Returns false if the timer does not move. */
static bool wait_round(u32 pm_start)
{
	for (unsigned i = 0; i < SPIN_LIMIT; i++) {
		if (acpi.pm_timer_port ? ((pm_read() - pm_start) & 0xffffff) > PM_TIMER_HZ / 1000
		                       : pit_expired())
			return true;
		cpu_relax();
	}
	return false;
}

void clock_init(void)
{
	u64 best = ~0ULL;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct reading start, end;
		u64 units, unit_hz;

		if (!acpi.pm_timer_port && !pit_start())
			break;
		start = reading();
		if (!wait_round(start.pm))
			break;
		end = reading();
		units = acpi.pm_timer_port ? (end.pm - start.pm) & 0xffffff : PIT_COUNT;
		unit_hz = acpi.pm_timer_port ? PM_TIMER_HZ : PIT_HZ;
		/* No unit: a pause between the readings took the timer round exactly once. */
		if (!units)
			continue;
		if (start.slack + end.slack >= best)
			continue;
		best = start.slack + end.slack;
		clock_tsc_hz = (end.tsc - start.tsc) * unit_hz / units;
		clock_apic_hz = (u64)(start.apic - end.apic) * unit_hz / units;
	}
	if (!clock_tsc_hz || !clock_apic_hz) {
		printk("clock: no timer to measure by, 1 GHz assumed\n");
		clock_tsc_hz = 1000000000;
		clock_apic_hz = clock_tsc_hz / 16;
	}
	base_ns = arch_clock_ns();
	base_tsc = arch_tsc();
	scale = (1000000000ULL << 32) / clock_tsc_hz;
}
