/* SPDX-License-Identifier: MIT */
/*
 * test_silence_smp.c: cross-calls and the states of CPUs: their counts, messages, errors and times.
 */
#include "fiber_threads.h"
#include "kernel/hotplug_state.h"
#include "tests/fiber/silence_help.h"
#include <quarry/console.h>
#include <quarry/cpu.h>
#include <quarry/lock.h>
#include <quarry/sched.h>
#include <quarry/string.h>

/* ---- printed text ---- */

static char said[2048];

static void keep(const char *text)
{
	size_t have = strlen(said);

	ksnprintf(said + have, sizeof(said) - have, "%s", text);
}

static void listen(bool on)
{
	if (on)
		said[0] = '\0';
	threads_on_print = on ? keep : NULL;
}

static void expect_said(struct ktest *t, const char *want)
{
	listen(false);
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
 * For each mask of CPUs, with and without a bit beyond the last CPU, while CPU 3 is online and
 * while it is down: the CPUs that get the call, run it, and are counted.  NULL names all online.
 */
KTEST_COST(each_mask_reaches_its_cpus_and_counts_them)
{
	unsigned online, self = 1u << arch_cpu_id(), down;
	cpumask_t mask;

	for (down = 0; down < 2; down++) {
		online = (1u << CPUS) - 1 - (down << 3);
		EXPECT_EQ(t, down ? cpu_down(3) : 0, 0);
		EXPECT_EQ(t, nr_cpus_online(), CPUS - down);
		for (mask = 0; mask <= 1UL << (CPUS + 1); mask++) {
			bool null = mask == 1UL << (CPUS + 1);
			unsigned runs_on = null ? online : (unsigned)mask & online;
			const struct smp_stats had = smp_stats;
			u32 runs = 0;

			EXPECT_EQ(t, smp_call_mask(null ? NULL : &mask, count_run, &runs),
			    count_bits(runs_on & ~self));
			EXPECT_EQ(t, runs, count_bits(runs_on));
			EXPECT_EQ(t, smp_stats.calls, had.calls + 1);
			EXPECT_EQ(t, smp_stats.ipis, had.ipis + count_bits(runs_on & ~self));
			EXPECT_EQ(
			    t, smp_stats.bad_cpu, had.bad_cpu + (null ? 0 : mask >> CPUS & 1));
			EXPECT_EQ(t, smp_stats.offline_cpu,
			    had.offline_cpu + (null ? 0 : mask >> 3 & down));
			EXPECT_EQ(t, smp_stats.spurious_calls, had.spurious_calls);
			EXPECT_EQ(t, smp_stats.silent, had.silent);
		}
	}
	EXPECT_EQ(t, cpu_up(3), 0);
}

/* ---- a CPU that does not answer ---- */

static struct {
	u32 runs, release; /* atomic */
	bool stay;         /* CPU 2 does not return from the call */
} called;
static u64 had; /* reports of silent CPUs before */

static void run_there(void *arg)
{
	atomic_add(&called.runs, 1u);
	while (called.stay && arch_cpu_id() == 2 && !load_acquire(&called.release))
		cpu_relax();
}

/* Stop in the middle of this CPU's own call. */
static void call_itself(void *arg)
{
	const cpumask_t self = 1UL << arch_cpu_id();

	smp_call_mask(&self, stay_silent, NULL);
}

/* The CPUs with a call under way; or that have not answered a call of CPU 3. */
static unsigned calling(bool unanswered)
{
	unsigned cpu, mask = 0;

	for (cpu = 0; cpu < CPUS; cpu++)
		mask |= (unsigned)(unanswered ? smp_unanswered(3, cpu) : smp_calling(cpu)) << cpu;
	return mask;
}

/* Has the printed text @lines lines, and does it begin and end with these words? */
static bool heard(unsigned lines, const char *begins, const char *ends)
{
	size_t len = strlen(said), i;

	for (i = 0; i < len; i++)
		lines -= said[i] == '\n';
	return !lines && !strncmp(said, begins, strlen(begins)) && len > strlen(ends) &&
	    !strcmp(said + len - strlen(ends), ends);
}

VERB(callers, calling(false));
VERB(unanswered, calling(true));
VERB(call_two, smp_call_mask(&(cpumask_t){1UL << 1 | 1UL << 2}, run_there, NULL));
DO(hush, listen(false));
DO(listen, called.runs = called.release = 0; called.stay = a[0]; had = smp_stats.silent;
    listen(true));
WAIT(until_reported, while (smp_stats.silent == had) thread_sleep(2 * TICK));
VERB(reported, smp_stats.silent - had);
VERB(runs, called.runs);
DO(release, store_release(&called.release, 1u));
VERB(
    heard_unset, heard(1, "smp: CPU 2 has not answered call ", " of CPU 3, inbox bit still set\n"));
VERB(heard_taken, heard(1, "smp: CPU 2 has not answered call ", " of CPU 3, inbox bit taken\n"));
VERB(heard_both, heard(2, "smp: CPU 2 has not ended its call ", "\n"));
DO(silence_in_call, silence_in((unsigned)a[0], call_itself, NULL, WAIT_FOREVER));
VERB(wait_senders, smp_wait_senders());

#define CALL_ENDS(runs_at_once, release, heard)                                                    \
	"callers; unanswered; 3> call_two = 2 @?; sleep 3t; callers = 8; unanswered = 4; runs "    \
	"= " runs_at_once "; until_reported @9970ms + 21s; sleep 22s; reported = 1;" release       \
	"; join; runs = 2; callers; unanswered; " heard " = 1;"

/*
 * CPU 3 calls CPU 1, which answers, and CPU 2, which does not: its interrupts are off, or it is
 * stuck in the called function.
 */
KTEST(silent_cpu_is_reported_once_and_waited_for)
ROWS("listen 0; silence 2;" CALL_ENDS("1", "speak 2", "heard_unset") "listen 1;" CALL_ENDS(
    "2", "release", "heard_taken") "hush")

/*
 * Two CPUs have stopped in their own calls: they share one time limit, get one report each, and are
 * counted once.
 */
KTEST(senders_are_waited_for_together)
ROWS("listen; wait_senders = 1; silence_in_call 2; silence_in_call 3; callers = 12; unanswered;"
     "wait_senders @timeout; heard_both = 1; reported = 1; speak 2; speak 3; wait_senders = 1;"
     "reported = 1; hush")

/* ---- contexts ---- */

static u32 runs;
static unsigned refusals;

static void go_come_and_call(void *arg)
{
	refusals = (cpu_down(3) == -EDEADLK) + (cpu_up(3) == -EDEADLK) +
	    (smp_call_mask(NULL, count_run, &runs) == -EDEADLK);
}

/* In a thread that may sleep; with interrupts off; with a lock; in an interrupt. */
static unsigned refused_in(s64 context)
{
	static struct spinlock lock = SPINLOCK("test", RANK_NONE);
	const cpumask_t other = 1UL << 1;
	irqflags_t flags = context == 1 ? arch_irq_save() : 0;

	if (context == 2)
		spin_lock(&lock);
	if (context == 3)
		smp_call_mask(&other, go_come_and_call, NULL);
	else
		go_come_and_call(NULL);
	if (context == 2)
		spin_unlock(&lock);
	if (context == 1)
		arch_irq_restore(flags);
	return refusals;
}

#define REFUSED "smp: a cross-call was refused: irqs "
static u64 bad, calls; /* before */

VERB(refused_in, refused_in(a[0]));
VERB(heard_refused, heard(2, REFUSED "off, 0 locks held\n" REFUSED "on, 1 locks held\n", "\n"));
VERB(count_calls, (u64)atomic_xchg(&runs, 0u) + smp_stats.calls - calls);
/* The first few are reported. */
DO(no_bad, bad = smp_stats.bad_context; smp_stats.bad_context = 0; calls = smp_stats.calls);
VERB(nr_bad, smp_stats.bad_context);
DO(old_bad, smp_stats.bad_context += bad);

/* With interrupts off, with a lock, and in an interrupt nothing may wait for other CPUs. */
KTEST(cpu_down_needs_a_thread_that_may_sleep)
ROWS("listen; no_bad; refused_in 1 = 3; refused_in 2 = 3; heard_refused = 1; nr_bad = 2;"
     "count_calls; refused_in 3 = 3; hush; old_bad; nr_online = 4; count_calls = 1; refused_in 0;"
     "count_calls >= 4")

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

DO(sleep_on, threads_sleep_on = a[0]);
VERB(heard_late, heard(1, "cpu: CPU 2 did not come up in time\n", "\n"));
VERB(this_cpu, arch_cpu_id());
VERB(is_down, !strcmp(cpu_state_name((unsigned)a[0]), "down"));
VERB(is_online, !strcmp(cpu_state_name((unsigned)a[0]), "online"));

/* A parked CPU that does not react to its wake-up stays offline, and may be woken again. */
KTEST(cpu_that_does_not_wake_stays_down)
ROWS("listen; sleep_on 1; down 2; up 2 = -EIO @timeout; heard_late = 1; hush; nr_online = 3;"
     "is_down 2 = 1; sleep_on 0; up 2; nr_online = 4; is_online 2 = 1")

#define LAST(cpu)                                                                                  \
	"down_but 0..3 " #cpu "; nr_online = 1; this_cpu = " #cpu "; down " #cpu " = -EBUSY;"      \
	"up " #cpu " = -EALREADY; up_but 0..3 " #cpu "; nr_online = 4;"

/* The thread goes on on the last CPU. */
KTEST(last_online_cpu_is_not_taken_down)
ROWS(LAST(0) LAST(1) LAST(2) LAST(3))

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
	listen(true);
	show_cpus();
	expect_said(t, want);
	for (cpu = 0; cpu < CPUS; cpu++)
		cpus[cpu]->node = 0;
	EXPECT_EQ(t, cpu_up(1), 0);
}
