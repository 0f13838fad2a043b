/* SPDX-License-Identifier: MIT */
/*
 * test_silence_sched.c: the choice of a CPU for a thread, with its inputs set by hand.  No other
 * CPU runs meanwhile, because this CPU neither waits nor lets other CPUs run
 * (arch/fiber/fiber_threads.c).
 */
#include "kernel/runq.h"
#include "tests/fiber/silence_help.h"
#include <quarry/sched.h>
#include <quarry/smp.h>

#define NEEDED   4u
#define STILL_NS (2 * S) /* a CPU without tick and switch for this long stands still */
#define MANY     70u
#define TAKEN    64u /* the most threads that one tick moves */

/* ---- threads that only note their CPU ---- */

struct runner {
	struct thread *thread;
	u32 ran_on; /* atomic: the thread's CPU plus 1; 0: it has not run */
};

static struct runner runner[MANY];

static void note_cpu(void *arg)
{
	store_release(&((struct runner *)arg)->ran_on, arch_cpu_id() + 1);
}

/*
 * Make a thread ready on @cpu, which has not checked its queue yet; @bound: it stays there.  irqs
 * off.
 */
static struct thread *ready_on(unsigned nr, unsigned cpu, bool bound)
{
	runner[nr] =
	    (struct runner){.thread = thread_start("runner", (int)cpu, note_cpu, &runner[nr])};
	if (!runner[nr].thread)
		panic("no thread");
	if (!bound)
		runner[nr].thread->home = -1;
	return runner[nr].thread;
}

static void end_runners(unsigned nr)
{
	while (nr-- > 0)
		thread_join(runner[nr].thread);
}

/* Every CPU has ticked and switched at @now. */
static void all_alive(u64 now)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		runqs[cpu].ticked = runqs[cpu].since = now;
}

/* ---- the CPU with the fewest threads ---- */

/*
 * Returns the chosen CPU if the CPUs have @nr threads, CPU @leaves goes down (NEEDED: none), and
 * the CPUs of the bits @silent have been silent for @age.
 */
static unsigned chosen(const u32 nr[NEEDED], unsigned leaves, unsigned silent, u64 age)
{
	u32 had[NEEDED];
	unsigned cpu, best;
	u64 now;

	for (cpu = 0; cpu < NEEDED; cpu++) {
		had[cpu] = runqs[cpu].nr_threads;
		runqs[cpu].nr_threads = nr[cpu];
		runqs[cpu].leaving = cpu == leaves;
	}
	/* One reading of the clock takes 100 ns, and the choice reads it once. */
	now = arch_clock_ns() + 100;
	all_alive(now);
	for (cpu = 0; cpu < NEEDED; cpu++)
		if (silent >> cpu & 1)
			runqs[cpu].ticked = runqs[cpu].since = now - age;
	best = sched_choose_cpu();
	for (cpu = 0; cpu < NEEDED; cpu++) {
		runqs[cpu].nr_threads = had[cpu];
		runqs[cpu].leaving = 0;
	}
	all_alive(now);
	return best;
}

KTEST_SUITE(silence_sched, KTEST_MOSTLY_INSIDE);

KTEST(new_thread_starts_on_the_cpu_with_the_fewest)
{
	static const struct {
		u32 nr[NEEDED];
		unsigned leaves, silent;
		s64 over; /* nanoseconds of silence beyond STILL_NS */
		unsigned want;
	} cases[] = {
	    {{3, 3, 3, 3}, NEEDED, 0, 0, 0}, /* this CPU, if no other has fewer threads */
	    {{3, 2, 2, 3}, NEEDED, 0, 0, 2},
	    {{3, 3, 2, 1}, NEEDED, 0, 0, 3},
	    {{3, 1, 2, 2}, NEEDED, 0, 0, 1},
	    {{0, 1, 1, 1}, NEEDED, 0, 0, 0},
	    {{0, 1, 1, 1}, 0, 0, 0, 3},
	    {{0, 1, 2, 2}, 0, 0, 0, 1},
	    {{3, 2, 1, 0}, 3, 0, 0, 2},
	    {{5, 4, 3, 0}, NEEDED, 1 << 3, 1, 2},
	    {{5, 4, 3, 0}, NEEDED, 1 << 3, 0, 3},
	    {{5, 4, 3, 0}, NEEDED, 1 << 3, -(s64)(STILL_NS + S), 3}, /* its clock is ahead */
	    {{0, 4, 3, 5}, 0, 0xe, 1, 2}, /* all are silent: any will do */
	    {{9, 8, 8, 5}, 3, 0x6, S, 0},
	};
	irqflags_t flags;
	unsigned i;

	thread_sleep(2 * STILL_NS); /* so that the times set below are not negative */
	flags = arch_irq_save();
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(t,
		    chosen(cases[i].nr, cases[i].leaves, cases[i].silent,
		        STILL_NS + (u64)cases[i].over),
		    cases[i].want);
	arch_irq_restore(flags);
}

/* After a tick without a switch, or a switch without a tick, a CPU counts as running. */
KTEST(switch_or_tick_shows_that_a_cpu_runs)
{
	irqflags_t flags = arch_irq_save();
	unsigned which;

	for (which = 0; which < 2; which++) {
		u32 had = runqs[3].nr_threads;

		all_alive(arch_clock_ns());
		*(which ? &runqs[3].ticked : &runqs[3].since) = 0;
		runqs[3].nr_threads = 0;
		EXPECT_EQ(t, sched_choose_cpu(), 3);
		runqs[3].nr_threads = had;
	}
	all_alive(arch_clock_ns());
	arch_irq_restore(flags);
}

/* ---- state of a queue ---- */

KTEST(loads_threads_and_kicks_are_counted)
{
	u32 on_1 = sched_threads(1), on_0 = sched_threads(0);
	irqflags_t flags = arch_irq_save();
	u64 kicks = READ_ONCE(smp_stats.kicks);
	unsigned i;

	EXPECT_EQ(t, sched_load(1), 0);
	EXPECT_EQ(t, sched_load(0), 1);
	for (i = 0; i < 2; i++) {
		WRITE_ONCE(cpus[1]->need_resched, 0u);
		ready_on(i, 1, true);
		EXPECT_EQ(t, sched_load(1), i + 1);
		EXPECT_EQ(t, runqs[1].nr_ready, i + 1);
		EXPECT_EQ(t, sched_threads(1), on_1 + i + 1);
		EXPECT_EQ(t, READ_ONCE(smp_stats.kicks), kicks + i + 1);
		EXPECT_EQ(t, cpus[1]->need_resched, 1);
		EXPECT_EQ(t, runner[i].thread->cpu, 1);
		EXPECT(t, runner[i].thread->on_queue);
	}
	/* A CPU that runs threads needs no kick. */
	WRITE_ONCE(cpus[0]->need_resched, 0u);
	ready_on(2, 0, true);
	EXPECT_EQ(t, sched_load(0), 2);
	EXPECT_EQ(t, sched_threads(0), on_0 + 1);
	EXPECT_EQ(t, cpus[0]->need_resched, 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.kicks), kicks + 2);
	arch_irq_restore(flags);
	end_runners(3);
	EXPECT_EQ(t, sched_threads(1), on_1);
	EXPECT_EQ(t, sched_threads(0), on_0);
	EXPECT_EQ(t, sched_load(1), 0);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, runner[i].ran_on, i < 2 ? 2 : 1);
}

KTEST(wake_up_kicks_the_cpu_once_and_counts_the_thread)
{
	struct thread *sleeper;
	irqflags_t flags;
	u64 kicks;

	sleeper = NEED(t,
	    thread_start("sleeper", 2, (void (*)(void *))(uintptr_t)thread_sleep,
	        (void *)(uintptr_t)(100 * S)));
	thread_sleep(30 * MS);
	flags = arch_irq_save();
	kicks = READ_ONCE(smp_stats.kicks);
	EXPECT(t, sleeper->state == THREAD_SLEEPING && sleeper->has_alarm && !sleeper->on_queue);
	EXPECT(t, TAILQ_FIRST(&runqs[2].alarms) == sleeper);
	sleeper->wake_at = 0;
	thread_wake(sleeper);
	EXPECT(t, sleeper->state == THREAD_RUNNABLE && !sleeper->has_alarm && sleeper->on_queue);
	EXPECT(t, TAILQ_EMPTY(&runqs[2].alarms));
	EXPECT_EQ(t, runqs[2].nr_ready, 1);
	/* The second wake-up does nothing: the thread is awake. */
	thread_wake(sleeper);
	EXPECT_EQ(t, runqs[2].nr_ready, 1);
	EXPECT_EQ(t, READ_ONCE(smp_stats.kicks), kicks + 1);
	arch_irq_restore(flags);
	/* No condition holds, so the thread sleeps on, with an alarm again. */
	thread_sleep(30 * MS);
	EXPECT(t, sleeper->state == THREAD_SLEEPING && sleeper->has_alarm);
	EXPECT(t, sleeper->wake_at > 50 * S);
	thread_join(sleeper);
}

/* ---- moving a thread to an idle CPU ---- */

static void balance(unsigned cpu)
{
	sched_balance(&runqs[cpu]);
}

KTEST(first_movable_thread_moves_to_the_first_idle_cpu)
{
	irqflags_t flags = arch_irq_save();
	u32 on_1 = sched_threads(1), on_2 = sched_threads(2);
	unsigned i;

	all_alive(arch_clock_ns());
	for (i = 0; i < 4; i++)
		ready_on(i, 1, i == 0);
	runqs[2].leaving = 1;
	runqs[3].ticked = runqs[3].since = 0;
	balance(1);
	EXPECT_EQ(t, runqs[1].nr_ready, 4);
	runqs[2].leaving = 0;
	balance(1);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(t, runner[i].thread->cpu, i == 1 ? 2 : 1);
	EXPECT_EQ(t, runqs[1].nr_ready, 3);
	EXPECT_EQ(t, runqs[2].nr_ready, 1);
	EXPECT_EQ(t, sched_threads(1), on_1 + 3);
	EXPECT_EQ(t, sched_threads(2), on_2 + 1);
	/* CPU 2 has work now, and CPU 3 stands still. */
	balance(1);
	EXPECT_EQ(t, runqs[1].nr_ready, 3);
	all_alive(arch_clock_ns());
	balance(1);
	EXPECT_EQ(t, runner[2].thread->cpu, 3);
	balance(1);
	EXPECT_EQ(t, runner[3].thread->cpu, 1);
	EXPECT_EQ(t, runqs[1].nr_ready, 2);
	arch_irq_restore(flags);
	end_runners(4);
	EXPECT_EQ(t, sched_threads(1), on_1);
	/* No thread waits on CPU 1 now. */
	flags = arch_irq_save();
	balance(1);
	arch_irq_restore(flags);
}

/* ---- moving threads from a CPU that stands still ---- */

#define STOPPED 1u

/*
 * Do as a tick of this CPU does when it is @cpu's turn to be checked; @cpu has been silent for
 * @silent nanoseconds.
 */
static void watch(unsigned cpu, u64 silent)
{
	u64 now = 10 * STILL_NS;

	all_alive(now);
	runqs[cpu].ticked = runqs[cpu].since = now - silent;
	runqs[0].watched = cpu ? cpu - 1 : NEEDED - 1;
	sched_watch(&runqs[0], now);
}

static void watch_ends(void)
{
	runqs[STOPPED].leaving = runqs[STOPPED].closed = 0;
	WRITE_ONCE(runqs[STOPPED].was, NULL);
	all_alive(arch_clock_ns());
}

KTEST(cpus_are_watched_in_turn)
{
	irqflags_t flags = arch_irq_save();
	unsigned cpu;

	for (cpu = 0; cpu < NEEDED; cpu++) {
		watch(cpu, 0);
		EXPECT_EQ(t, runqs[0].watched, cpu);
	}
	watch_ends();
	arch_irq_restore(flags);
}

KTEST(ready_threads_leave_a_stalled_cpu)
{
	irqflags_t flags = arch_irq_save();
	unsigned i;

	for (i = 0; i < 4; i++)
		ready_on(i, STOPPED, i == 0);
	watch(STOPPED, STILL_NS);
	EXPECT_EQ(t, runqs[STOPPED].nr_ready, 4);
	/* A queue that another CPU has locked, or closed, may not be touched. */
	spin_lock(&runqs[STOPPED].lock);
	watch(STOPPED, STILL_NS + 1);
	spin_unlock(&runqs[STOPPED].lock);
	EXPECT_EQ(t, runqs[STOPPED].nr_ready, 4);
	runqs[STOPPED].closed = 1;
	watch(STOPPED, STILL_NS + 1);
	EXPECT_EQ(t, runqs[STOPPED].nr_ready, 4);
	runqs[STOPPED].closed = 0;
	/* The bound thread stays, and so does the thread whose stack the CPU may be using. */
	WRITE_ONCE(runqs[STOPPED].was, runner[2].thread);
	watch(STOPPED, STILL_NS + 1);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(t, runner[i].thread->cpu, i % 2 ? 0 : STOPPED);
	EXPECT_EQ(t, runqs[STOPPED].nr_ready, 2);
	EXPECT_EQ(t, runqs[0].nr_ready, 2);
	EXPECT(t, !runqs[STOPPED].closed);
	/* The CPU goes down: the bound thread leaves too, and the queue is closed. */
	runqs[STOPPED].leaving = 1;
	watch(STOPPED, STILL_NS + 1);
	EXPECT_EQ(t, runner[0].thread->cpu, 0);
	EXPECT_EQ(t, runner[2].thread->cpu, STOPPED);
	EXPECT_EQ(t, runqs[STOPPED].nr_ready, 1);
	EXPECT(t, runqs[STOPPED].closed);
	watch_ends();
	arch_irq_restore(flags);
	end_runners(4);
}

KTEST(one_tick_moves_a_bounded_number_of_threads)
{
	irqflags_t flags = arch_irq_save();
	unsigned i;

	for (i = 0; i < MANY; i++)
		ready_on(i, STOPPED, false);
	watch(STOPPED, STILL_NS + 1);
	EXPECT_EQ(t, runqs[STOPPED].nr_ready, MANY - TAKEN);
	EXPECT_EQ(t, runqs[0].nr_ready, TAKEN);
	watch_ends();
	arch_irq_restore(flags);
	end_runners(MANY);
}

static bool never(void *arg)
{
	return false;
}

/* Sleep until the time @arg. */
static void sleep_until(void *arg)
{
	struct waitq nobody = WAITQ("sleep_until");

	wait_until(&nobody, never, NULL, (u64)(uintptr_t)arg - arch_clock_ns());
}

KTEST(sleepers_of_a_stalled_cpu_are_woken_in_time)
{
	const u64 now = 10 * STILL_NS; /* the time that watch() uses */
	struct thread *sleeper[3];
	unsigned i, round;

	for (round = 0; round < 2; round++) {
		irqflags_t flags;

		for (i = 0; i < 3; i++) {
			sleeper[i] = thread_start("sleeper", (int)STOPPED, sleep_until,
			    (void *)(uintptr_t)(arch_clock_ns() + 100 * S));
			REQUIRE(t, sleeper[i]);
		}
		thread_sleep(30 * MS);
		flags = arch_irq_save();
		for (i = 0; i < 3; i++)
			sleeper[i]->wake_at = now + i;
		runqs[STOPPED].leaving = round;
		watch(STOPPED, STILL_NS + 1);
		for (i = 0; i < 3; i++) {
			bool due = round || i == 0;

			EXPECT_EQ(t, sleeper[i]->state, due ? THREAD_RUNNABLE : THREAD_SLEEPING);
			EXPECT_EQ(t, sleeper[i]->has_alarm, !due);
			/* A bound thread moves only if its CPU goes down. */
			EXPECT_EQ(t, sleeper[i]->cpu, round ? 0 : STOPPED);
		}
		EXPECT_EQ(t, runqs[STOPPED].closed, round);
		watch_ends();
		for (i = 0; i < 3; i++)
			sleeper[i]->wake_at = 0;
		arch_irq_restore(flags);
		for (i = 0; i < 3; i++)
			thread_join(sleeper[i]);
	}
}

/* ---- a CPU that goes offline and comes back ---- */

KTEST(leaving_cpu_is_told_and_gets_no_thread)
{
	irqflags_t flags = arch_irq_save();

	WRITE_ONCE(cpus[2]->need_resched, 0u);
	EXPECT(t, takes_threads(2));
	sched_cpu_leave(2);
	EXPECT_EQ(t, runqs[2].leaving, 1);
	EXPECT_EQ(t, cpus[2]->need_resched, 1);
	EXPECT(t, !takes_threads(2));
	/* A thread that is bound to the leaving CPU starts on another CPU. */
	ready_on(0, 2, true);
	EXPECT(t, runner[0].thread->cpu != 2);
	runqs[2].leaving = 0;
	arch_irq_restore(flags);
	end_runners(1);
}

/* ---- an alarm on a closed queue ---- */

struct sleeper {
	struct waitq wq;
	u32 flag; /* atomic */
};

static bool flagged(void *arg)
{
	return load_acquire(&((struct sleeper *)arg)->flag);
}

static void sleep_an_hour_unless_flagged(void *arg)
{
	struct sleeper *s = arg;

	wait_until(&s->wq, flagged, s, 3600 * S);
}

/*
 * Another CPU has closed the queue of CPU 2, which stands still, just after a thread has set its
 * alarm there.  The thread is woken, and takes the alarm off the queue that it leaves.
 */
KTEST(woken_sleeper_leaves_no_alarm_behind)
{
	struct sleeper s = {.wq = WAITQ("sleeper")};
	struct thread *thread =
	    NEED(t, thread_start("sleeper", 2, sleep_an_hour_unless_flagged, &s));
	struct runq *rq = &runqs[2];
	struct deaf deaf;

	thread_sleep(20 * MS);
	deaf_begin(&deaf, 2, WAIT_FOREVER);
	EXPECT(t, TAILQ_FIRST(&rq->alarms) == thread);
	store_release(&rq->leaving, 1u);
	rq->closed = 1;
	store_release(&s.flag, 1u);
	wake_up(&s.wq);
	thread_join(thread);
	EXPECT(t, TAILQ_EMPTY(&rq->alarms));
	TAILQ_INIT(&rq->alarms); /* else a thread that was freed would be woken */
	rq->closed = 0;
	store_release(&rq->leaving, 0u);
	deaf_end(&deaf);
}
