/* SPDX-License-Identifier: MIT */
/*
 * test_arch_clock.c: the clock and the APIC's timer, measured with the power management timer,
 * whose rate is known.
 */
#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/ktest.h>

#define APIC_TIMER_NOW 0x390u
#define PM_HZ          3579545u
#define PERIOD_NS      10000000ULL /* of the APIC timer */
#define ROUND_NS       2000000ULL

struct clocks {
	u64 ns, slack;
	u32 pm, apic;
};

/* Read the clocks several times; returns the reading with the least slack. */
static struct clocks read_clocks(void)
{
	struct clocks best = {.slack = ~0ULL};
	unsigned i;

	for (i = 0; i < 10; i++) {
		u64 before = arch_clock_ns(), after;
		u32 pm = inl(acpi.pm_timer_port), apic = apic_read(APIC_TIMER_NOW);

		after = arch_clock_ns();
		if (after - before < best.slack)
			best = (struct clocks){before, after - before, pm, apic};
	}
	return best;
}

/* The rates of the two clocks, in thousandths of the power management timer's rate. */
struct rates {
	u64 ns, apic;
};

static void measure(void *arg)
{
	struct rates *rates = arg;
	irqflags_t flags = arch_irq_save();
	struct clocks begin = {0}, end = {0};
	unsigned i;
	u64 pm_ns, slack = ~0ULL;

	/*
	 * Use the round with the least slack. Skip a round in which the timer was reloaded: the
	 * timer then shows more than before, or the host did not run this CPU for a whole period.
	 */
	for (i = 0; i < 200 && slack >= ROUND_NS / 200; i++) {
		struct clocks first = read_clocks(), last;

		while (arch_clock_ns() - first.ns < ROUND_NS)
			cpu_relax();
		last = read_clocks();
		if (first.apic > last.apic && last.ns + last.slack - first.ns < PERIOD_NS &&
		    first.slack + last.slack < slack) {
			slack = first.slack + last.slack;
			begin = first;
			end = last;
		}
	}
	arch_irq_restore(flags);
	pm_ns = ((end.pm - begin.pm) & 0xffffff) * 1000000000ULL / PM_HZ;
	rates->ns = (end.ns - begin.ns) * 1000 / MAX(pm_ns, 1UL);
	rates->apic =
	    (begin.apic - end.apic) * 1000000000ULL / clock_apic_hz * 1000 / MAX(pm_ns, 1UL);
}

static void clocks_agree(struct ktest *t)
{
	struct rates rates = {0};

	if (!acpi.pm_timer_port) {
		ktest_skip(t, "needs the power management timer");
		return;
	}
	ktest_on_cpu(0, measure, &rates);
	EXPECT(t, rates.ns > 970 && rates.ns < 1030);
	EXPECT(t, rates.apic > 970 && rates.apic < 1030);
}

static void read_often(void *arg)
{
	struct ktest *t = arg;
	u64 last = arch_clock_ns(), now;
	unsigned i, back = 0;

	for (i = 0; i < 10000; i++, last = now) {
		now = arch_clock_ns();
		back += now < last;
	}
	EXPECT_EQ(t, back, 0);
}

static void clock_never_goes_back(struct ktest *t)
{
	ktest_on_cpu(0, read_often, t);
}

KTEST_SUITE(arch_clock, 0, KTEST(clocks_agree), KTEST(clock_never_goes_back));
