/* SPDX-License-Identifier: MIT */
/*
 * porting_calls.c: checks of cross-calls, as mm/ relies on them.
 *
 * Owns:       its counters.
 * Locks:      a lock of RANK_ZONE, held while a call must be refused.
 * Invariants: none.
 */
#include "porting_tests.h"

static struct spinlock zone = SPINLOCK("porting zone", RANK_ZONE);

static struct {
	u32 runs[MAX_CPUS], bad, payload[MAX_CPUS];
	unsigned caller;
} calls;

static void count_call(void *arg)
{
	unsigned cpu = arch_cpu_id();
	u64 since = arch_clock_ns();

	if (arch_irqs_enabled() || (cpu != calls.caller && !arch_in_interrupt()) || arg != &calls)
		atomic_add(&calls.bad, 1u);
	/* Take a while, so that a sender that does not wait for the call is caught. */
	while (cpu != calls.caller && arch_clock_ns() - since < MS)
		;
	calls.payload[cpu] += 7;
	calls.runs[cpu]++;
}

static void begin_calls(void)
{
	memset(&calls, 0, sizeof(calls));
	calls.caller = arch_cpu_id();
}

void call_runs_once_on_every_online_cpu(void)
{
	unsigned cpu, nr = porting_cpus();

	begin_calls();
	EXPECT(smp_call_mask(NULL, count_call, &calls) == (int)nr - 1);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		u32 want = cpumask_test(cpu_online_mask, cpu);

		EXPECT(calls.runs[cpu] == want && calls.payload[cpu] == 7 * want);
	}
	EXPECT(calls.bad == 0);
}

void call_runs_on_cpus_of_the_mask_only(void)
{
	unsigned to = porting_other_cpu(), cpu;

	begin_calls();
	EXPECT(smp_call_mask(porting_only(to), count_call, &calls) == 1);
	for (cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT(calls.runs[cpu] == (cpu == to));
	EXPECT(calls.bad == 0);
}

void call_to_oneself_is_made_directly(void)
{
	begin_calls();
	EXPECT(smp_call_mask(porting_only(arch_cpu_id()), count_call, &calls) == 0);
	EXPECT(calls.runs[calls.caller] == 1 && calls.bad == 0);
	EXPECT(arch_irqs_enabled());
}

void call_is_refused_where_it_would_deadlock(void) NO_LOCK_ANALYSIS
{
	irqflags_t flags;

	begin_calls();
	flags = arch_irq_save();
	EXPECT(smp_call_mask(NULL, count_call, &calls) == -EDEADLK);
	arch_irq_restore(flags);
	spin_lock(&zone);
	EXPECT(smp_call_mask(NULL, count_call, &calls) == -EDEADLK);
	spin_unlock(&zone);
	EXPECT(calls.runs[calls.caller] == 0);
	EXPECT(smp_call_mask(porting_only(calls.caller), count_call, &calls) == 0 &&
	    calls.runs[calls.caller] == 1);
}

static struct {
	u32 off, on, came, too_early, stop;
} quiet;

static void note_call(void *arg)
{
	if (READ_ONCE(quiet.off) && !READ_ONCE(quiet.on))
		WRITE_ONCE(quiet.too_early, 1u);
	atomic_add(&quiet.came, 1u);
}

/* Runs on the other CPU, with interrupts off for a while, in which a call arrives. */
static void be_quiet(void *arg)
{
	irqflags_t flags = arch_irq_save();
	u64 since = arch_clock_ns();

	store_release(&quiet.off, 1u);
	while (arch_clock_ns() - since < 20 * MS)
		cpu_relax();
	store_release(&quiet.on, 1u);
	arch_irq_restore(flags);
	porting_becomes(&quiet.came, 1);
}

void call_waits_while_interrupts_are_off_there(void)
{
	unsigned cpu = porting_other_cpu();
	struct thread *t;

	memset(&quiet, 0, sizeof(quiet));
	t = thread_start("quiet", (int)cpu, be_quiet, NULL);
	EXPECT(t != NULL);
	if (!t)
		return;
	EXPECT(porting_becomes(&quiet.off, 1));
	EXPECT(smp_call_mask(porting_only(cpu), note_call, NULL) == 1);
	EXPECT(quiet.came == 1 && !quiet.too_early);
	thread_join(t);
}

static u32 total;

static void add_one(void *arg)
{
	atomic_add(&total, 1u);
}

static void call_often(void *arg)
{
	unsigned i;

	for (i = 0; i < ROUNDS; i++)
		smp_call_mask(NULL, add_one, NULL);
}

void calls_of_all_cpus_at_once_all_arrive(void)
{
	unsigned nr;

	total = 0;
	nr = porting_on_all(call_often, NULL);
	EXPECT(nr == porting_cpus() && total == nr * nr * ROUNDS);
}
