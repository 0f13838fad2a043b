/* SPDX-License-Identifier: MIT */
/* test_arch_irq.c: interrupts of a CPU: IPIs, NMIs; and when a thread is preempted. */
#include "tests/lib/hotplug_help.h"
#include "kernel/runq.h"
#include "x86.h"
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define APIC_ICR_LOW  0x300u
#define APIC_ICR_HIGH 0x310u
#define ICR_BUSY      0x1000u
#define NOBODY        0xf0u /* an APIC id that no CPU here has */
#define TURNS         1000u
#define TRIES         50u
#define FEW_CPUS      16u

/* ---- preemption ---- */

static u64 since(void)
{
	return READ_ONCE(runqs[arch_cpu_id()].since);
}

/* Each check of the run queue sets its `since`, even if the same thread runs on. */
static void count_switches(void *arg)
{
	unsigned *switches = arg, i;

	for (i = 0; i < TURNS; i++) {
		u64 before;

		preempt_disable();
		before = since();
		preempt_enable();
		*switches += since() != before;
	}
}

/* Only the last preempt_enable, with interrupts on, switches threads. */
static void ask_for_a_switch(void *arg)
{
	struct ktest *t = arg;
	irqflags_t flags;
	u64 before;

	preempt_disable();
	preempt_disable();
	flags = arch_irq_save();
	EXPECT_EQ(t, arch_preempt_count(), 2);
	before = since();
	WRITE_ONCE(this_cpu()->need_resched, 1u);
	preempt_enable();
	EXPECT_EQ(t, arch_preempt_count(), 1);
	preempt_enable();
	EXPECT_EQ(t, arch_preempt_count(), 0);
	EXPECT(t, since() == before);
	EXPECT_EQ(t, this_cpu()->need_resched, 1);
	preempt_disable();
	arch_irq_restore(flags);
	preempt_enable();
	EXPECT(t, since() != before);
}

KTEST_SUITE(arch_irq, 0);

/* A few switches may come from timer ticks. */
KTEST_COST(threads_are_preempted_on_request)
{
	unsigned switches = 0;

	ktest_on_cpu(0, count_switches, &switches);
	EXPECT(t, switches < TURNS / 10);
	ktest_on_cpu(0, ask_for_a_switch, t);
}

/*
 * Each of these alone forbids to sleep: interrupts off, the preemption count, the interrupt depth.
 */
static void ask_to_sleep(void *arg)
{
	struct ktest *t = arg;
	irqflags_t flags;

	EXPECT(t, arch_may_sleep());
	preempt_disable();
	EXPECT(t, !arch_may_sleep());
	preempt_enable();
	flags = arch_irq_save();
	EXPECT(t, !arch_may_sleep());
	arch_irq_restore(flags);
	WRITE_ONCE(this_cpu()->irq_depth, 1u);
	EXPECT(t, !arch_may_sleep());
	WRITE_ONCE(this_cpu()->irq_depth, 0u);
	EXPECT(t, arch_may_sleep());
	EXPECT(t, arch_this_cpu() == cpus[0] && cpus[0]->runq == &runqs[0]);
}

KTEST_INSIDE(only_a_thread_that_may_be_preempted_may_sleep)
{
	ktest_on_cpu(0, ask_to_sleep, t);
}

/* ---- sets of CPUs ---- */

KTEST(masks_have_a_bit_for_each_cpu)
{
	cpumask_t mask[3] = {0};
	unsigned cpu, other;

	for (cpu = 0; cpu < 3 * CPUMASK_BITS; cpu += 43) {
		cpumask_set(mask, cpu);
		for (other = 0; other < 3 * CPUMASK_BITS; other++)
			EXPECT_EQ(t, cpumask_test(mask, other), other <= cpu && other % 43 == 0);
	}
	cpumask_clear(mask, 86);
	cpumask_clear(mask, 87);
	EXPECT_EQ(t, mask[0], 1UL << 43 | 1);
	EXPECT_EQ(t, mask[1], 0);
	EXPECT_EQ(t, mask[2], 1UL << 1 | 1UL << 44);
}

/* ---- interrupts sent ---- */

static void expect_sent(struct ktest *t, u32 dest, u32 low)
{
	EXPECT_EQ(t, apic_read(APIC_ICR_LOW) & ~ICR_BUSY, low);
	if (apic_max_id() == XAPIC_MAX_ID)
		EXPECT_EQ(t, apic_read(APIC_ICR_HIGH), dest << 24);
}

static void send_some(void *arg)
{
	unsigned cpu = ktest_cpus() - 1;
	u32 id = cpus[cpu]->apic_id;
	struct ktest *t = arg;
	irqflags_t flags = arch_irq_save();

	arch_ipi_kick(cpu);
	expect_sent(t, id, 0x4042);
	arch_ipi_call(cpu);
	expect_sent(t, id, 0x4040);
	apic_send_self(VEC_KICK); /* the destination stays as it is */
	expect_sent(t, id, 0x44042);
	EXPECT(t, !arch_irqs_enabled());
	arch_irq_restore(flags);
	apic_send(NOBODY, ICR_FIXED | VEC_KICK);
	EXPECT(t, arch_irqs_enabled() && !arch_preempt_count());
}

KTEST_INSIDE(interrupts_are_sent_to_the_right_cpus)
{
	ktest_on_cpu(0, send_some, t);
}

/* ---- NMIs ---- */

static char said[16384];

/* Read the text printed since @pos. */
static void read_said(u64 pos)
{
	said[log_read(&pos, said, sizeof(said) - 1)] = '\0';
}

static unsigned times_said(const char *fmt, unsigned cpu)
{
	unsigned i, times = 0;
	char text[80];
	size_t len;

	ksnprintf(text, sizeof(text), fmt, cpu, cpus[cpu]->apic_id);
	len = strlen(text);
	for (i = 0; said[i]; i++)
		times += !strncmp(said + i, text, len);
	return times;
}

#define ASKED  "CPU %u (APIC id %u): asked, NMI in thread "
#define SILENT "CPU %u (APIC id %u): does not answer an NMI\n"
#define OWN    "CPU %u (APIC id %u): not asked, NMI in thread "

static u32 stop;     /* atomic */
static u64 first_ns; /* atomic: time when the other thread ran after stop was 1; 0: not yet */

static void run_beside(void *arg)
{
	while (READ_ONCE(stop) != 2) {
		if (READ_ONCE(stop) == 1 && !READ_ONCE(first_ns))
			WRITE_ONCE(first_ns, arch_clock_ns());
		thread_yield();
	}
}

/*
 * One CPU does not answer for a tenth of a second. Meanwhile no other thread runs on the CPU that
 * asks.
 */
static void ask_all(void *arg)
{
	struct thread *other;
	struct ktest *t = arg;
	u64 begin;

	WRITE_ONCE(stop, 0u);
	WRITE_ONCE(first_ns, 0UL);
	other = thread_start("beside", 0, run_beside, NULL);
	REQUIRE(t, other);
	begin = arch_clock_ns();
	WRITE_ONCE(stop, 1u);
	arch_backtrace_others();
	EXPECT_EQ(t, arch_preempt_count(), 0);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(first_ns)));
	EXPECT(t, READ_ONCE(first_ns) - begin >= 100000000);
	WRITE_ONCE(stop, 2u);
	thread_join(other);
}

/* True: all CPUs answered in time.  On a busy host an NMI may come too late. */
static bool all_answer(struct ktest *t, unsigned silent)
{
	u64 pos = log_position();
	unsigned cpu, late = 0;

	ktest_on_cpu(0, ask_all, t);
	read_said(pos);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		bool asked = cpu && cpu != silent && cpu < nr_boot_cpus;

		EXPECT_EQ(
		    t, times_said(ASKED, cpu) + times_said(SILENT, cpu), asked || cpu == silent);
		late += times_said(ASKED, cpu) != asked;
	}
	return !late;
}

static void nothing(void *arg)
{
}

KTEST(every_cpu_reports_by_nmi_but_a_silent_one, KTEST_REPORTS)
{
	unsigned silent = ktest_cpus() - 1, tries = TRIES, cpu;
	u32 id = cpus[silent]->apic_id;
	u64 pos;

	if (!needs_two(t))
		return;
	if (nr_cpus > FEW_CPUS) {
		ktest_skip(t, "needs few CPUs: the log has no place for all their stories");
		return;
	}
	EXPECT_EQ(t, cpu_down(silent), 0);
	cpus[silent]->apic_id = NOBODY;
	WRITE_ONCE(cpus[silent]->started, STARTED_RUNS);
	while (!all_answer(t, silent) && --tries)
		thread_yield();
	EXPECT(t, tries);
	/* A parked CPU gets no NMI. */
	cpus[silent]->apic_id = id;
	WRITE_ONCE(cpus[silent]->started, STARTED_PARKED);
	pos = log_position();
	ktest_on_cpu(0, (void (*)(void *))(uintptr_t)arch_backtrace_others, NULL);
	read_said(pos);
	EXPECT_EQ(t, times_said(ASKED, silent) + times_said(SILENT, silent), 0);
	EXPECT_EQ(t, cpu_up(silent), 0);
	/* A CPU that was too late to answer takes its NMI now. */
	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (cpumask_test(cpu_online_mask, cpu))
			ktest_on_cpu(cpu, nothing, NULL);
}

/*
 * The number of backtraces that @cpu prints after an NMI. A call that runs on the CPU shows that
 * the CPU has taken the NMI.
 */
static unsigned stories_after_nmi(unsigned cpu)
{
	u64 pos = log_position();

	apic_send(cpus[cpu]->apic_id, ICR_NMI);
	ktest_on_cpu(cpu, nothing, NULL);
	read_said(pos);
	return times_said(OWN, cpu);
}

/*
 * An NMI that wakes a CPU, or comes too late to wake it, prints no backtrace; any other NMI does.
 */
KTEST(nmi_from_the_host_is_reported, KTEST_REPORTS)
{
	unsigned cpu = ktest_cpus() - 1;
	u64 pos = log_position();

	if (!needs_two(t))
		return;
	EXPECT_EQ(t, cpu_down(cpu), 0);
	apic_send(cpus[cpu]->apic_id, ICR_NMI);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	ktest_on_cpu(cpu, nothing, NULL);
	read_said(pos);
	EXPECT_EQ(t, times_said(OWN, cpu), 0);
	WRITE_ONCE(cpus[cpu]->quiet_until, arch_clock_ns() + 1000000000000UL);
	EXPECT_EQ(t, stories_after_nmi(cpu), 0);
	WRITE_ONCE(cpus[cpu]->quiet_until, 0UL);
	EXPECT_EQ(t, stories_after_nmi(cpu), 1);
}
