/* SPDX-License-Identifier: MIT */
/*
 * clock_rate.c: the rates of the time stamp counter and of the APIC timer.
 *
 * Owns:       both rates, determined once on the boot CPU.
 * Locks:      none: written before the other CPUs start.
 * Tests:      play_clock, machines, arch_cpu, tests/qemu/test_arch.py.
 *
 * Both are measured against the ACPI power management timer, which runs at a known rate on every
 * machine and emulator; without it, or if it stands still, against channel 2 of the old interval
 * timer.  Without both, the rates are those that CPUID gives.  A round takes 1 ms.  The host may
 * stop the CPU between any two accesses.  So a reading takes the timer's value and the other two
 * clocks together, and is the tightest of several; and the round with the tightest readings is
 * used.
 */
#include <quarry/acpi.h>
#include <quarry/port.h>

#include "x86.h"

#define PM_TIMER_HZ 3579545ULL /* ACPI specification 4.8.3.3 */
#define PIT_HZ      1193182ULL
#define PM_MASK     0xffffffu
#define PIT_MASK    0xffffu
#define ROUNDS      3
#define TRIES       5
/* The most passes of a busy loop that waits for hardware, which may be absent. */
#define SPIN_LIMIT 1000000

#define APIC_TIMER_COUNT 0x390

struct reading {
	u64 tsc, slack;
	u32 apic, timer;
};

u64 clock_tsc_hz, clock_apic_hz;
bool clock_assumed;

void clock_compare(unsigned cpu, u64 before, u64 at, u64 after)
{
	u64 off = at < before ? before - at : at > after ? at - after : 0;

	if (off)
		printk("clock: the time stamp counter of CPU %u is %llu us or more %s\n", cpu,
		    (unsigned long long)(off / (clock_tsc_hz / 1000000)),
		    at < before ? "behind" : "ahead");
}

/* Are the clocks measured against the PM timer?  Else against the interval timer. */
static bool by_pm;

/* The timer's value.  It counts up; only the bits of PM_MASK or PIT_MASK count. */
static u32 timer_read(void)
{
	u32 low;

	if (by_pm)
		return inl(acpi.pm_timer_port);
	outb(0x43, 0x80); /* keep the count of channel 2 for the two reads */
	low = inb(0x42);
	return ~(low | (u32)inb(0x42) << 8);
}

/* The timer's ticks between two readings, if it has not gone round. */
static u32 ticks_between(u32 start, u32 end)
{
	return (end - start) & (by_pm ? PM_MASK : PIT_MASK);
}

static struct reading reading(void)
{
	struct reading best = {.slack = ~0ULL};

	for (unsigned i = 0; i < TRIES; i++) {
		u64 before = rdtsc();
		u32 count = timer_read();
		u32 apic = apic_read(APIC_TIMER_COUNT);
		u64 after = rdtsc();

		if (after - before < best.slack)
			best = (struct reading){
			    before + (after - before) / 2, after - before, apic, count};
	}
	return best;
}

/* Has the interval timer's count reached 0 since its start?  A missing device reads as ones. */
static bool pit_expired(void)
{
	return inb(0x61) & 0x20;
}

/*
 * Start the interval timer's channel 2: one-shot, from its largest count, which takes 55 ms; its
 * gate on, its speaker off.  False: there is none.
 */
static bool pit_start(void)
{
	outb(0x61, (inb(0x61) & 0xfc) | 0x01);
	outb(0x43, 0xb0);
	outb(0x42, 0);
	outb(0x42, 0);
	return !pit_expired();
}

/*
 * Wait until the timer is more than @units ticks beyond @start.  Returns false if it does not move.
 */
static bool wait_round(u32 start, u64 units)
{
	for (unsigned i = 0; i < SPIN_LIMIT; i++) {
		if (ticks_between(start, timer_read()) > units)
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * Measure both rates, against the PM timer if @pm, else against the interval timer.  False: there
 * is no such timer, or it stands still.
 */
static bool measure(bool pm)
{
	u64 best = ~0ULL, hz = pm ? PM_TIMER_HZ : PIT_HZ;

	by_pm = pm;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct reading start, end;
		u64 units;

		if (pm ? !acpi.pm_timer_port : !pit_start())
			break;
		start = reading();
		if (!wait_round(start.timer, hz / 1000))
			break;
		end = reading();
		units = ticks_between(start.timer, end.timer);
		/* A pause between the readings may have taken the timer round. */
		if (!units || (!pm && pit_expired()))
			continue;
		if (start.slack + end.slack >= best)
			continue;
		best = start.slack + end.slack;
		clock_tsc_hz = (end.tsc - start.tsc) * hz / units;
		clock_apic_hz = (u64)(start.apic - end.apic) * hz / units;
	}
	return clock_tsc_hz && clock_apic_hz;
}

/*
 * Leaf 0x15 gives the TSC's rate as a multiple of a crystal's, which is also the APIC timer's; leaf
 * 0x16 gives MHz of processor and bus (SDM vol. 2A, CPUID; vol. 3A, 10.5.4).  False: neither does.
 */
static bool rates_by_cpuid(void)
{
	const struct cpuid_regs none = {0};
	u32 last = cpuid(0, 0).eax;
	struct cpuid_regs ratio = last >= 0x15 ? cpuid(0x15, 0) : none;
	struct cpuid_regs mhz = last >= 0x16 ? cpuid(0x16, 0) : none;
	u64 tsc = (mhz.eax & 0xffff) * 1000000ULL, crystal = (mhz.ecx & 0xffff) * 1000000ULL;

	if (ratio.eax && ratio.ebx) {
		crystal = ratio.ecx ? ratio.ecx : tsc * ratio.eax / ratio.ebx;
		tsc = crystal * ratio.ebx / ratio.eax;
	}
	clock_tsc_hz = tsc;
	clock_apic_hz = crystal / 16;
	return clock_tsc_hz && clock_apic_hz;
}

void clock_measure(void)
{
	clock_tsc_hz = clock_apic_hz = 0;
	clock_assumed = !measure(true) && !measure(false) && !rates_by_cpuid();
	if (!clock_assumed)
		return;
	printk("clock: no timer to measure by, 1 GHz assumed\n");
	clock_tsc_hz = 1000000000;
	clock_apic_hz = clock_tsc_hz / 16;
}
