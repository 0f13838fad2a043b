/* SPDX-License-Identifier: MIT */
/*
 * test_play_smp.c: cross-calls among more CPUs than a hosted program has: calls that are withdrawn,
 * and a call to a CPU that has just come online.  The test includes the source of kernel/smp.c, and
 * chooses the CPU that executes it.  Hosted only.
 */
#define cpu_online_mask  played_mask
#define cpu_hotplug      played_hotplug
#define smp_stats        played_stats
#define smp_init         played_init
#define cpu_set_online   played_online
#define cpu_clear_online played_offline
#define nr_cpus_online   played_nr_online
#define smp_wait_senders played_wait_senders
#define smp_call_pending played_pending
#define smp_call_serve   played_serve
#define smp_call_close   played_close
#define smp_unanswered   played_unanswered
#define smp_calling      played_calling
#define smp_call_mask    played_call
#include <quarry/errno.h>
#include <quarry/ktest.h>
#include <quarry/machine.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define CPUS   130u
#define TARGET 1u

static struct {
	unsigned cpu, cpus; /* the executing CPU; the number of CPUs */
	unsigned turns;     /* of the waiting loop */
	bool calls_late;    /* CPU 0 calls as soon as a CPU is in the online mask */
	u32 runs;           /* of the called function */
} now = {.cpus = CPUS};

static void target_turn(void);
static void mask_set(cpumask_t *mask, unsigned cpu);
static void no_interrupt(unsigned cpu);

#define arch_cpu_id() (now.cpu)
#define nr_cpus       (now.cpus)
#define cpu_relax     target_turn
#define cpumask_set   mask_set
#define arch_ipi_call no_interrupt
#include "kernel/smp.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef cpumask_set

static void no_interrupt(unsigned cpu)
{
}

/* The caller waits: the target, if it is open, takes its interrupt.  The wait ends in any case. */
static void target_turn(void)
{
	unsigned caller = now.cpu;

	now.turns++;
	now.cpu = TARGET;
	if (!slots[TARGET].closed)
		smp_call_serve();
	now.cpu = caller;
	if (now.turns > 10)
		slots[caller].answered[TARGET] = slots[caller].request;
}

static void count_run(void *arg)
{
	now.runs++;
}

/* Call the target from @cpu; returns as smp_call_mask. */
static int call_from(unsigned cpu)
{
	cpumask_t mask[CPUMASK_WORDS(CPUS)] = {1UL << TARGET};
	unsigned before = now.cpu;
	int asked;

	now.cpu = cpu;
	now.turns = now.runs = 0;
	asked = smp_call_mask(mask, count_run, NULL);
	now.cpu = before;
	return asked;
}

static void mask_set(cpumask_t *mask, unsigned cpu)
{
	cpumask_set(mask, cpu);
	if (mask != cpu_online_mask || !now.calls_late)
		return;
	now.calls_late = false;
	call_from(0);
}

/* All CPUs are online, and nothing is counted. */
static void begin(void)
{
	unsigned cpu;

	if (!slots)
		smp_init();
	for (cpu = 0; cpu < CPUS; cpu++)
		cpu_set_online(cpu);
	memset(&smp_stats, 0, sizeof(smp_stats));
}

KTEST_SUITE(play_smp, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The callers lie in each word of the inbox. */
KTEST(call_of_any_cpu_to_an_offline_one_is_withdrawn)
{
	static const unsigned callers[] = {0, 2, 63, 64, 65, 127, 128, CPUS - 1};
	unsigned i;

	begin();
	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		EXPECT_EQ(t, call_from(callers[i]), 1);
		EXPECT_EQ(t, now.runs, 1);
	}
	slots[TARGET].closed = 1;
	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		EXPECT_EQ(t, call_from(callers[i]), 1);
		EXPECT_EQ(t, smp_stats.offline_cpu, i + 1);
		EXPECT_EQ(t, now.turns + now.runs, 0);
	}
	slots[TARGET].closed = 0;
	now.cpu = TARGET;
	EXPECT(t, !smp_call_pending());
	now.cpu = 0;
}

KTEST(cpu_in_the_online_mask_takes_calls)
{
	begin();
	cpu_clear_online(TARGET);
	slots[TARGET].closed = 1;
	EXPECT_EQ(t, call_from(0), 0);
	now.calls_late = true;
	now.cpu = TARGET;
	cpu_set_online(TARGET);
	now.cpu = 0;
	EXPECT(t, !now.calls_late);
	EXPECT_EQ(t, now.runs, 1);
	EXPECT_EQ(t, smp_stats.offline_cpu, 1);
}

/* The CPU last answered a call that was 2^32 calls ago, when 32 bits of the number come again. */
KTEST(cpu_answers_a_call_2_32_calls_after_its_last)
{
	begin();
	EXPECT_EQ(t, call_from(0), 1);
	slots[0].request += (1UL << 32) - 1;
	EXPECT_EQ(t, call_from(0), 1);
	EXPECT_EQ(t, now.runs, 1);
	EXPECT(t, now.turns <= 10);
}
