/* SPDX-License-Identifier: MIT */
/*
 * test_silence_smp.c: cross-calls and the states of CPUs: their counts, messages, errors and times.
 */
#include "fiber_threads.h"
#include "kernel/hotplug_state.h"
#include "tests/fiber/silence_help.h"
#include <quarry/console.h>
#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/lock.h>
#include <quarry/sched.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define CPUS 4u

/* ---- printed text ---- */

static char said[2048];

static void keep(const char *text)
{
	size_t have = strlen(said);

	ksnprintf(said + have, sizeof(said) - have, "%s", text);
}

static void listen(void)
{
	said[0] = '\0';
	threads_on_print = keep;
}

static void expect_said(struct ktest *t, const char *want)
{
	threads_on_print = NULL;
	if (strcmp(said, want) != 0)
		ktest_fail(t, __FILE__, __LINE__, "expected \"%s\", got \"%s\"", want, said);
}

/* ---- cross-calls ---- */

static void count_run(void *arg)
{
	atomic_add((u32 *)arg, 1u);
}

KTEST_SUITE(silence_smp, 0);

/*
 * For each mask of CPUs, with and without a bit beyond the last CPU, check the number of CPUs that
 * get the call, run it, and are counted.
 */
KTEST_COST(each_mask_reaches_its_cpus_and_counts_them)
{
	const unsigned self = arch_cpu_id();
	cpumask_t mask;

	for (mask = 0; mask < 1UL << (CPUS + 1); mask++) {
		const struct smp_stats had = smp_stats;
		unsigned known = (unsigned)mask % (1u << CPUS), others = known & ~(1u << self);
		u32 runs = 0;

		EXPECT_EQ(t, smp_call_mask(&mask, count_run, &runs), count_bits(others));
		EXPECT_EQ(t, runs, count_bits(known));
		EXPECT_EQ(t, smp_stats.calls, had.calls + 1);
		EXPECT_EQ(t, smp_stats.ipis, had.ipis + count_bits(others));
		EXPECT_EQ(t, smp_stats.bad_cpu, had.bad_cpu + (mask >> CPUS));
		EXPECT_EQ(t, smp_stats.offline_cpu, had.offline_cpu);
		EXPECT_EQ(t, smp_stats.spurious_calls, had.spurious_calls);
		EXPECT_EQ(t, smp_stats.silent, had.silent);
	}
}

KTEST(cpus_that_are_down_are_counted_where_they_are_named)
{
	const cpumask_t all = (1UL << CPUS) - 1, two = 1UL << 2 | 1UL << 3;
	struct smp_stats had;
	u32 runs = 0;

	EXPECT_EQ(t, nr_cpus_online(), CPUS);
	EXPECT_EQ(t, cpu_down(3), 0);
	EXPECT_EQ(t, nr_cpus_online(), CPUS - 1);
	had = smp_stats;
	EXPECT_EQ(t, smp_call_mask(NULL, count_run, &runs), CPUS - 2);
	EXPECT_EQ(t, smp_stats.offline_cpu, had.offline_cpu);
	EXPECT_EQ(t, smp_call_mask(&all, count_run, &runs), CPUS - 2);
	EXPECT_EQ(t, smp_stats.offline_cpu, had.offline_cpu + 1);
	EXPECT_EQ(t, smp_call_mask(&two, count_run, &runs), 1);
	EXPECT_EQ(t, smp_stats.offline_cpu, had.offline_cpu + 2);
	EXPECT_EQ(t, runs, 2 * (CPUS - 1) + 1);
	EXPECT_EQ(t, smp_stats.bad_cpu, had.bad_cpu);
	EXPECT_EQ(t, cpu_up(3), 0);
	EXPECT_EQ(t, smp_stats.spurious_calls, had.spurious_calls);
}

/* ---- a CPU that does not answer ---- */

static struct {
	u32 runs, release; /* atomic */
	bool stay;         /* CPU 2 does not return from the call */
} called;

static void run_there(void *arg)
{
	atomic_add(&called.runs, 1u);
	while (called.stay && arch_cpu_id() == 2 && !load_acquire(&called.release))
		cpu_relax();
}

static void call_two(void *arg)
{
	const cpumask_t mask = 1UL << 1 | 1UL << 2;

	EXPECT_EQ((struct ktest *)arg, smp_call_mask(&mask, run_there, NULL), 2);
}

static void expect_calling(struct ktest *t, unsigned callers, unsigned unanswered)
{
	unsigned cpu;

	for (cpu = 0; cpu < CPUS; cpu++) {
		EXPECT_EQ(t, smp_calling(cpu), callers >> cpu & 1);
		EXPECT_EQ(t, smp_unanswered(3, cpu), unanswered >> cpu & 1);
	}
}

/*
 * CPU 3 calls CPU 1, which answers, and CPU 2, which does not: its interrupts are off, or it is
 * stuck in the called function.
 */
KTEST(silent_cpu_is_reported_once_and_waited_for)
{
	static const char begins[] = "smp: CPU 2 has not answered call ";
	static const char *const ends[] = {
	    " of CPU 3, inbox bit still set\n", " of CPU 3, inbox bit taken\n"};
	unsigned way;

	for (way = 0; way < 2; way++) {
		u64 had = smp_stats.silent, began;
		struct deaf deaf;

		called.runs = called.release = 0;
		called.stay = way;
		if (!way)
			deaf_begin(&deaf, 2, WAIT_FOREVER);
		expect_calling(t, 0, 0);
		listen();
		began = arch_clock_ns();
		ktest_start(3, call_two, t);
		thread_sleep(30 * MS);
		expect_calling(t, 1 << 3, 1 << 2);
		EXPECT_EQ(t, called.runs, 1 + way);
		while (smp_stats.silent == had && arch_clock_ns() - began < 60 * S)
			thread_sleep(20 * MS);
		EXPECT_TOOK_CALL(t, arch_clock_ns() - began, smp_timeout_ns);
		thread_sleep(22 * S);
		EXPECT_EQ(t, smp_stats.silent, had + 1);
		store_release(&called.release, 1u);
		if (!way)
			deaf_end(&deaf);
		ktest_join(3);
		threads_on_print = NULL;
		EXPECT(t, !strncmp(said, begins, sizeof(begins) - 1));
		EXPECT(t,
		    strlen(said) > strlen(ends[way]) &&
		        !strcmp(said + strlen(said) - strlen(ends[way]), ends[way]));
		EXPECT_EQ(t, called.runs, 2);
		expect_calling(t, 0, 0);
	}
}

static void call_itself(void *arg)
{
	const cpumask_t self = 1UL << arch_cpu_id();

	smp_call_mask(&self, deaf_main, arg);
}

/*
 * Two CPUs have stopped in their own calls: they share one time limit, get one report each, and are
 * counted once.
 */
KTEST(senders_are_waited_for_together)
{
	struct deaf deaf[2] = {{.cpu = 2, .ns = WAIT_FOREVER}, {.cpu = 3, .ns = WAIT_FOREVER}};
	u64 had = smp_stats.silent, began = arch_clock_ns();
	unsigned i, lines = 0;
	const char *s;

	EXPECT(t, smp_wait_senders());
	EXPECT_TOOK(t, arch_clock_ns() - began, 0);
	for (i = 0; i < 2; i++) {
		ktest_start(deaf[i].cpu, call_itself, &deaf[i]);
		while (!load_acquire(&deaf[i].is))
			thread_yield();
	}
	expect_calling(t, 1 << 2 | 1 << 3, 0);
	began = arch_clock_ns();
	listen();
	EXPECT(t, !smp_wait_senders());
	threads_on_print = NULL;
	EXPECT_TOOK(t, arch_clock_ns() - began, smp_timeout_ns);
	EXPECT_EQ(t, smp_stats.silent, had + 1);
	for (s = said; *s; s++)
		lines += *s == '\n';
	EXPECT_EQ(t, lines, 2);
	EXPECT(t, !strncmp(said, "smp: CPU 2 has not ended its call ", 34));
	deaf_end(&deaf[0]);
	deaf_end(&deaf[1]);
	EXPECT(t, smp_wait_senders());
	EXPECT_EQ(t, smp_stats.silent, had + 1);
}

KTEST(refused_calls_are_counted_and_reported)
{
	u64 had = smp_stats.bad_context, calls = smp_stats.calls;
	struct spinlock lock = SPINLOCK("test", RANK_NONE);
	irqflags_t flags;
	u32 runs = 0;

	had = smp_stats.bad_context;
	smp_stats.bad_context = 0; /* the first few are reported */
	listen();
	flags = arch_irq_save();
	EXPECT_EQ(t, smp_call_mask(NULL, count_run, &runs), -EDEADLK);
	arch_irq_restore(flags);
	spin_lock(&lock);
	EXPECT_EQ(t, smp_call_mask(NULL, count_run, &runs), -EDEADLK);
	spin_unlock(&lock);
	expect_said(t,
	    "smp: a cross-call was refused: irqs off, 0 locks held\n"
	    "smp: a cross-call was refused: irqs on, 1 locks held\n");
	EXPECT_EQ(t, smp_stats.bad_context, 2);
	smp_stats.bad_context += had;
	EXPECT_EQ(t, smp_stats.calls, calls);
	EXPECT_EQ(t, runs, 0);
}

/* ---- states of CPUs ---- */

KTEST(each_cpu_state_has_a_name_and_allowed_operations)
{
	static const struct {
		u32 state;
		const char *online, *offline;
		int up; /* result for an offline CPU; 1: the call is not tried */
	} states[] = {
	    {HP_UP, "online", "absent", -EIO},
	    {HP_LEAVING, "leaving", "leaving", -EIO},
	    {HP_LEFT, "leaving", "leaving", -EIO},
	    {HP_STOP, "leaving", "leaving", -EIO},
	    {HP_PARKED, "down", "down", 1},
	    {HP_WAKE, "coming", "coming", -EIO},
	    {HP_STARTING, "coming", "coming", -EIO},
	    {HP_COMING, "coming", "coming", -EIO},
	    {HP_DEAD, "dead", "dead", -EIO},
	    {HP_ABSENT, "absent", "absent", -ENODEV},
	    {HP_ARRIVING, "coming", "coming", -EIO},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		cpus[3]->hotplug = states[i].state;
		EXPECT(t, !strcmp(cpu_state_name(3), states[i].online));
		EXPECT_EQ(t, cpu_is_parked(3), states[i].state == HP_PARKED);
		EXPECT_EQ(t, cpu_up(3), -EALREADY);
		if (states[i].state == HP_DEAD)
			EXPECT_EQ(t, cpu_down(3), -EIO);
		cpu_clear_online(3);
		EXPECT(t, !strcmp(cpu_state_name(3), states[i].offline));
		EXPECT_EQ(t, cpu_down(3), states[i].state == HP_DEAD ? -EIO : -EALREADY);
		if (states[i].up != 1)
			EXPECT_EQ(t, cpu_up(3), states[i].up);
		EXPECT_EQ(t, cpus[3]->hotplug, states[i].state);
		cpu_set_online(3);
	}
	cpus[3]->hotplug = HP_UP;
	EXPECT(t, !cpu_is_parked(CPUS));
	EXPECT_EQ(t, cpu_down(CPUS), -ENODEV);
	EXPECT_EQ(t, cpu_up(CPUS), -ENODEV);
}

static struct {
	int down, up;
} got;

static void go_and_come(void *arg)
{
	got.down = cpu_down(3);
	got.up = cpu_up(3);
}

KTEST(cpu_down_needs_a_thread_that_may_sleep)
{
	struct spinlock lock = SPINLOCK("test", RANK_NONE);
	const cpumask_t other = 1UL << 1;
	irqflags_t flags = arch_irq_save();

	go_and_come(NULL);
	arch_irq_restore(flags);
	EXPECT(t, got.down == -EDEADLK && got.up == -EDEADLK);
	spin_lock(&lock);
	go_and_come(NULL);
	spin_unlock(&lock);
	EXPECT(t, got.down == -EDEADLK && got.up == -EDEADLK);
	got.down = got.up = 0;
	EXPECT_EQ(t, smp_call_mask(&other, go_and_come, NULL), 1);
	EXPECT(t, got.down == -EDEADLK && got.up == -EDEADLK);
	EXPECT_EQ(t, nr_cpus_online(), CPUS);
	go_and_come(NULL);
	EXPECT(t, got.down == 0 && got.up == 0);
}

/* A parked CPU that does not react to its wake-up stays offline, and may be woken again. */
KTEST(cpu_that_does_not_wake_stays_down)
{
	u64 began;

	EXPECT_EQ(t, cpu_down(2), 0);
	threads_sleep_on = true;
	began = arch_clock_ns();
	listen();
	EXPECT_EQ(t, cpu_up(2), -EIO);
	expect_said(t, "cpu: CPU 2 did not come up in time\n");
	EXPECT_TOOK(t, arch_clock_ns() - began, smp_timeout_ns);
	EXPECT(t, !strcmp(cpu_state_name(2), "down"));
	EXPECT_EQ(t, nr_cpus_online(), CPUS - 1);
	threads_sleep_on = false;
	EXPECT_EQ(t, cpu_up(2), 0);
	EXPECT(t, !strcmp(cpu_state_name(2), "online"));
	EXPECT_EQ(t, nr_cpus_online(), CPUS);
}

KTEST(last_online_cpu_is_not_taken_down)
{
	unsigned last, cpu;

	for (last = 0; last < CPUS; last++) {
		for (cpu = 0; cpu < CPUS; cpu++)
			if (cpu != last)
				EXPECT_EQ(t, cpu_down(cpu), 0);
		EXPECT_EQ(t, nr_cpus_online(), 1);
		EXPECT_EQ(t, arch_cpu_id(), last);
		EXPECT_EQ(t, cpu_down(last), -EBUSY);
		for (cpu = 0; cpu < CPUS; cpu++)
			EXPECT_EQ(t, cpu_up(cpu), cpu == last ? -EALREADY : 0);
	}
	EXPECT_EQ(t, nr_cpus_online(), CPUS);
}

KTEST(show_cpus_prints_the_state_of_each)
{
	char want[1024];
	unsigned cpu, threads;
	size_t at = 0;

	EXPECT_EQ(t, cpu_down(1), 0);
	for (cpu = 0; cpu < CPUS; cpu++) {
		cpus[cpu]->apic_id = 10 + cpu;
		cpus[cpu]->node = 20 + cpu;
		cpus[cpu]->ticks = 1000000 + cpu;
		cpus[cpu]->calls = 1 + cpu;
		cpus[cpu]->kicks = cpu == 2 ? 1 : 10000000000;
		threads = sched_threads(cpu);
		/* A line has at most 80 columns. */
		at += (size_t)ksnprintf(want + at, sizeof(want) - at,
		    "cpu %u: %s, APIC id %u, node %u, %u thread%s,%s %u ticks, %u call%s, %s\n",
		    cpu, cpu == 1 ? "down" : "online", 10 + cpu, 20 + cpu, threads,
		    threads == 1 ? "" : "s", cpu == 2 ? "" : "\n ", 1000000 + cpu, 1 + cpu,
		    cpu ? "s" : "", cpu == 2 ? "1 kick" : "10000000000 kicks");
	}
	ksnprintf(want + at, sizeof(want) - at,
	    "calls to CPUs out of range %llu, to CPUs not online %llu\n"
	    "  taken by CPUs not online %llu; CPUs reported silent %llu\n",
	    (unsigned long long)smp_stats.bad_cpu, (unsigned long long)smp_stats.offline_cpu,
	    (unsigned long long)smp_stats.spurious_calls, (unsigned long long)smp_stats.silent);
	listen();
	show_cpus();
	expect_said(t, want);
	for (cpu = 0; cpu < CPUS; cpu++)
		cpus[cpu]->node = 0;
	EXPECT_EQ(t, cpu_up(1), 0);
}
