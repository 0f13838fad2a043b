/* SPDX-License-Identifier: MIT */
/*
 * test_play_clock.c: the rates of the time stamp counter and the APIC timer, on a simulated machine
 * on which each access takes a time that the test chooses. So the right figures are known exactly.
 */
#include "tests/host/play_help.h"

#include "arch/x86_64/clock.h"

#define PM_PORT 0x608u
#define PM_HZ   3579545ULL
#define PIT_HZ  1193182ULL
#define TICKS   100u /* ticks of the time stamp counter for one tick of the timer */

static unsigned timer_reads;
static unsigned apic_reads;     /* a reading of the clock makes five; the third is the best */
static u64 pit_began;           /* time at which the PIT began to count; 0: it did not */
static unsigned written;        /* bytes written to the PIT's count */
static u32 from_count, latched; /* of the PIT: its first count, the count that is read */
static enum timer_kind { PM, PM_STUCK, PIT, STUCK, ABSENT } timer;
static bool pauses; /* the first round lasts for exactly one turn of the timer */
static u64 shown;   /* by the timer in the first reading's third try */
/* Ticks of a pause in the second round: after the PIT has started; after the first reading. */
static u32 late_start, long_round;

/*
 * The time that the accesses to port and APIC take in a reading. The clock takes the middle of both
 * accesses for the reading's time; it is exact if both take equally long. A round has two readings.
 */
struct cost {
	u32 port, apic;
};
static const struct cost costs[] = {
    /*
     * Two readings for each of four rounds: neither exact nor tight; the round that counts; as
     * tight, but not exact; a round too many.
     */
    {3 * TICKS, 1 * TICKS},
    {1 * TICKS, 3 * TICKS},
    {1 * TICKS, 1 * TICKS},
    {2 * TICKS, 2 * TICKS},
    {0, 3 * TICKS},
    {3 * TICKS, 0},
    {0, 1},
    {1, 0},
};

static struct cost cost(void)
{
	/* The other four accesses of a reading are neither exact nor tight. */
	static const struct cost bad[] = {{90 * TICKS, 10 * TICKS}, {10 * TICKS, 90 * TICKS}};
	unsigned reading = apic_reads / 5;

	return apic_reads % 5 == 2 ? costs[MIN(reading, 7u)] : bad[reading % 2];
}

static u32 read_apic(void)
{
	u64 at = play.tsc;

	play.tsc += cost().apic;
	/* The next read of the timer, by the second reading's third try, advances it by a tick. */
	if (pauses && apic_reads == 6)
		play.tsc += ((shown - 1 - play.tsc / TICKS) & 0xffffff) * TICKS;
	apic_reads++;
	return ~0u - (u32)(at / 20);
}

/* Between two readings the timer advances by one tick of its own. */
static void read_timer(void)
{
	timer_reads++;
	play.tsc += apic_reads % 10 == 5 ? TICKS : cost().port;
	if (apic_reads == 2)
		shown = play.tsc / TICKS;
	if (apic_reads == 15) {
		play.tsc += long_round * TICKS;
		long_round = 0;
	}
}

static bool pit_runs(void)
{
	return pit_began && timer != STUCK;
}

static u32 read_port(u16 port, unsigned bytes, u32 kept)
{
	static bool high_byte; /* of the PIT's count comes next */
	static u32 high;

	high += 0x01000000; /* bits that the timer does not have */
	if (timer == ABSENT)
		return ~0u;
	if (port == 0x61) {
		play.tsc += TICKS;
		return (kept & 0xdf) |
		    (pit_runs() && play.tsc - pit_began > from_count * TICKS ? 0x20 : 0);
	}
	if (port == 0x42) {
		high_byte = !high_byte;
		return high_byte ? latched & 0xff : latched >> 8;
	}
	read_timer();
	return timer == STUCK || timer == PM_STUCK
	    ? 0x123456 | high
	    : ((u32)(0xfffff0 + play.tsc / TICKS) & 0xffffff) | high;
}

static void latch(void)
{
	/* This write is made a thousand times, so it is not noted. */
	judge.len -= strlen("out8 43=80\n");
	judge.text[judge.len] = '\0';
	read_timer();
	latched = pit_runs() ? (u16)(from_count - (play.tsc - pit_began) / TICKS) : 0x1234;
}

static void write_port(u16 port)
{
	if (port == 0x43 && play.port[0x43] == 0x80)
		latch();
	if (port != 0x42)
		return;
	/* A reading's cost depends on its number since the first start. */
	if (!written)
		apic_reads = 0;
	from_count = (written % 2 ? from_count : 0) | (u32)play.port[0x42] << 8 * (written % 2);
	if (++written % 2)
		return;
	from_count = from_count ? from_count : 0x10000;
	pit_began = play.tsc;
	if (written == 4)
		play.tsc += late_start * TICKS;
}

static void begin(void)
{
	play_begin();
	play_apics(0);
	play.in = read_port;
	play.out = write_port;
	play.count = read_apic;
	acpi.pm_timer_port = PM_PORT;
	play.tsc = 5000000 * TICKS;
	apic_reads = timer_reads = written = late_start = long_round = 0;
	pit_began = 0;
	timer = PM;
	pauses = false;
}

#define EXPECT_MEASURED(t, hz) EXPECT((t), clock_tsc_hz == (hz)*TICKS && clock_apic_hz == (hz)*5)

KTEST_SUITE(play_clock, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The tightest of three rounds counts; of a reading's five tries the tightest, with its middle. */
KTEST(clock_rate_comes_from_the_tightest_readings)
{
	begin();
	clock_measure();
	EXPECT_MEASURED(t, PM_HZ);
	EXPECT_EQ(t, apic_reads, 30);
	EXPECT_SAID(t, "");
}

/* The host may stop the CPU until the timer shows its first value again. */
KTEST(round_in_which_the_timer_seems_to_stand_is_left_out)
{
	begin();
	pauses = true;
	clock_measure();
	EXPECT_MEASURED(t, PM_HZ);
}

/* Measure on a machine without a PM timer, whose interval timer is @which; after begin(). */
static void measure_by_pit(enum timer_kind which)
{
	timer = which;
	acpi.pm_timer_port = 0;
	clock_measure();
}

#define PIT_STARTED "43=b0\nout8 42=0\nout8 42=0\n"

/* The PIT's channel 2 counts down from its largest count, with the speaker off, the gate on. */
KTEST(calibration_falls_back_to_the_pit)
{
	begin();
	play.port[0x61] = 0xdf;
	measure_by_pit(PIT);
	EXPECT_MEASURED(t, PIT_HZ);
	EXPECT_SAID(t,
	    "out8 61=dd\nout8 " PIT_STARTED "out8 61=dd\nout8 " PIT_STARTED
	    "out8 61=dd\nout8 " PIT_STARTED);
	EXPECT_EQ(t, apic_reads, 30);
}

/* The firmware names a PM timer, but the timer is off. */
KTEST(calibration_leaves_a_pm_timer_that_stands_still)
{
	begin();
	timer = PM_STUCK;
	clock_measure();
	EXPECT_MEASURED(t, PIT_HZ);
	EXPECT_EQ(t, judge_times("clock: "), 0);
}

/*
 * The host may stop the CPU after it has started the PIT, or until the PIT shows a count that it
 * has shown before.  Here this happens in the round with the tightest readings.
 */
KTEST(pause_beside_the_pit_does_no_harm)
{
	begin();
	late_start = 900;
	measure_by_pit(PIT);
	EXPECT_MEASURED(t, PIT_HZ);
	begin();
	long_round = 0x10000 + 2000;
	measure_by_pit(PIT);
	EXPECT(t, clock_tsc_hz > PIT_HZ * TICKS * 99 / 100);
	EXPECT(t, clock_tsc_hz < PIT_HZ * TICKS * 101 / 100);
}

#define ASSUMED "clock: no timer to measure by, 1 GHz assumed\n"

KTEST(clock_without_a_timer_assumes_a_rate)
{
	begin();
	timer = STUCK;
	clock_measure();
	EXPECT_EQ(t, judge_times(ASSUMED), 1);
	EXPECT_EQ(t, clock_tsc_hz, 1000000000);
	EXPECT_EQ(t, clock_apic_hz, 62500000);
	EXPECT_EQ(t, timer_reads, 2000000 + 2 * 5);
	begin();
	measure_by_pit(STUCK);
	EXPECT_EQ(t, judge_times(ASSUMED), 1);
	EXPECT_EQ(t, timer_reads, 1000000 + 5);
	begin();
	measure_by_pit(ABSENT);
	EXPECT_EQ(t, judge_times(ASSUMED), 1);
	EXPECT_EQ(t, timer_reads + apic_reads, 0);
	EXPECT_EQ(t, clock_tsc_hz, 1000000000);
}

static u32 last_leaf;
static struct cpuid_regs leaf_15, leaf_16;

static struct cpuid_regs leaves(u32 leaf)
{
	return leaf == 0x15 ? leaf_15
	    : leaf == 0x16  ? leaf_16
	                    : (struct cpuid_regs){.eax = leaf ? ~0u : last_leaf};
}

/* Expect these rates without timers, with leaves to @last, in MHz and kHz; 0: they are assumed. */
static void expect_rates(struct ktest *t, u32 last, u64 tsc_mhz, u64 apic_khz)
{
	begin();
	last_leaf = last;
	play.cpuid = leaves;
	measure_by_pit(ABSENT);
	EXPECT_EQ(t, clock_assumed, !tsc_mhz);
	EXPECT_EQ(t, judge_times(ASSUMED), !tsc_mhz);
	EXPECT_EQ(t, clock_tsc_hz, (tsc_mhz ? tsc_mhz : 1000) * 1000000);
	EXPECT_EQ(t, clock_apic_hz, (apic_khz ? apic_khz : 62500) * 1000);
}

KTEST(clock_without_a_timer_uses_the_rates_of_cpuid)
{
	leaf_15 = (struct cpuid_regs){.eax = 2, .ebx = 176, .ecx = 24000000};
	leaf_16 = (struct cpuid_regs){.eax = 0xabcd0000 | 2100, .ebx = 4000, .ecx = 100};
	expect_rates(t, 0x16, 2112, 1500);
	expect_rates(t, 0x15, 2112, 1500);
	expect_rates(t, 0x14, 0, 0);
	/* Without the crystal's rate, it follows from the processor's. */
	leaf_15 = (struct cpuid_regs){.eax = 2, .ebx = 175};
	expect_rates(t, 0x16, 2100, 1500);
	expect_rates(t, 0x15, 0, 0);
	leaf_15.eax = 0;
	expect_rates(t, 0x16, 2100, 6250);
	leaf_16.ecx = 0;
	expect_rates(t, 0x16, 0, 0);
	leaf_15 = (struct cpuid_regs){.eax = 2};
	leaf_16 = (struct cpuid_regs){.ecx = 100};
	expect_rates(t, 0x16, 0, 0);
}

/*
 * The clock continues from its last value at the measured rate.  The TSC of a CPU in another
 * socket, of one that was plugged in later, or of one whose firmware wrote TSC_ADJUST may be behind
 * the boot CPU's: there the clock stands still until then.
 */
KTEST(clock_advances_at_the_measured_rate)
{
	const u64 hz = PM_HZ * TICKS, at = 5 * hz;
	struct tsc_clock c = TSC_CLOCK;

	EXPECT_EQ(t, tsc_clock_now(&c, at), at);
	tsc_clock_set(&c, at, hz);
	EXPECT_EQ(t, tsc_clock_now(&c, at), at);
	EXPECT_EQ(t, tsc_clock_now(&c, at - 1000), at);
	/* The time is rounded down. */
	EXPECT_RANGE(t, tsc_clock_now(&c, at + 1000 * hz) - at, 999999999901, 1000000000000);
	/* A trace record's time is the clock's at that tick, also before the clock was set. */
	EXPECT_EQ(t, tsc_clock_at(&c, at + hz), tsc_clock_now(&c, at + hz));
	EXPECT_RANGE(t, at - tsc_clock_at(&c, at - hz), 999999999, 1000000000);
	EXPECT_EQ(t, tsc_clock_at(&c, 0), 0);
	tsc_clock_set(&c, at + hz, 2 * hz);
	EXPECT_RANGE(t, tsc_clock_now(&c, at + 3 * hz) - at, 1999999998, 2000000000);
}

KTEST(cpu_with_another_time_is_reported)
{
	begin();
	clock_tsc_hz = 2000000000;
	clock_compare(3, 5000000, 5000000, 5000000);
	EXPECT_DOES(t, clock_compare(3, 5000000, 6000000, 7000000), "");
	clock_compare(3, 5000000, 4998000, 7000000);
	clock_compare(4, 5000000, 7004000, 7000000);
	EXPECT_SAID(t,
	    "clock: the time stamp counter of CPU 3 is 1 us or more behind\n"
	    "clock: the time stamp counter of CPU 4 is 2 us or more ahead\n");
}
