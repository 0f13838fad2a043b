/* SPDX-License-Identifier: MIT */
/*
 * test_silence_sched.c: the choice of a CPU for a thread, with its inputs set by hand.  No other
 * CPU runs meanwhile, because this CPU neither waits nor lets other CPUs run
 * (arch/fiber/fiber_threads.c).  What it costs the shares of a CPU that a caller passes it on to
 * the receiver, and that a thread leaves its task's share for a while.
 */
#include "kernel/runq.h"
#include "tests/fiber/silence_help.h"
#include <quarry/sched.h>

#define STILL_NS (2 * S) /* a CPU without tick and switch for this long stands still */
#define NOW      (10 * STILL_NS)
#define MANY     70u

/* ---- threads that only note their CPU ---- */

static struct runner {
	struct thread *thread;
	u32 ran_on; /* atomic: the thread's CPU plus 1; 0: it has not run */
} runner[MANY];
static irqflags_t flags;
static u32 threads_at_first[CPUS];
static u64 kicks_at_first;

static void note_cpu(void *arg)
{
	store_release(&((struct runner *)arg)->ran_on, arch_cpu_id() + 1);
}

/*
 * Make a thread ready on @cpu, which has not checked its queue yet; @bound: it stays there.  irqs
 * off.
 */
static void ready_on(unsigned nr, unsigned cpu, bool bound)
{
	runner[nr] =
	    (struct runner){.thread = thread_start("runner", (int)cpu, note_cpu, &runner[nr])};
	if (!runner[nr].thread)
		panic("no thread");
	if (!bound)
		runner[nr].thread->home = -1;
}

/* Every CPU has ticked and switched at @now. */
static void all_alive(u64 now)
{
	unsigned cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		runqs[cpu].ticked = runqs[cpu].since = now;
}

static void begin(void)
{
	unsigned cpu;

	flags = arch_irq_save();
	for (cpu = 0; cpu < CPUS; cpu++)
		threads_at_first[cpu] = sched_threads(cpu);
	kicks_at_first = READ_ONCE(smp_stats.kicks);
	all_alive(arch_clock_ns());
}

/* Let the CPUs run again, and @nr runners end. */
static void end(unsigned nr)
{
	unsigned cpu;

	for (cpu = 0; cpu < CPUS; cpu++) {
		runqs[cpu].leaving = runqs[cpu].closed = 0;
		WRITE_ONCE(runqs[cpu].was, NULL);
	}
	all_alive(arch_clock_ns());
	arch_irq_restore(flags);
	while (nr-- > 0)
		thread_join(runner[nr].thread);
}

/*
 * Do as a tick of this CPU does when it is @cpu's turn to be checked; @cpu has been silent for
 * @silent nanoseconds.
 */
static void watch(unsigned cpu, u64 silent)
{
	all_alive(NOW);
	runqs[cpu].ticked = runqs[cpu].since = NOW - silent;
	runqs[0].watched = (cpu + CPUS - 1) % CPUS;
	sched_watch(&runqs[0], NOW);
}

#define RQ     (&runqs[a[0]])
#define RUNNER (runner[a[0]].thread)
DO(begin, begin());
DO(end, end((unsigned)a[0]));
DO(ready, ready_on((unsigned)a[0], (unsigned)a[1], a[2] == 0)); /* runner, CPU, 1: movable */
VERB(on, RUNNER->cpu);
VERB(ran_on, runner[a[0]].ran_on - 1);
VERB(queued, RUNNER->on_queue);
VERB(load, sched_load((unsigned)a[0]));
VERB(nr_ready, RQ->nr_ready);
VERB(more, sched_threads((unsigned)a[0]) - threads_at_first[a[0]]);
VERB(kicks, READ_ONCE(smp_stats.kicks) - kicks_at_first);
VERB(resched, cpus[a[0]]->need_resched);
DO(no_resched, WRITE_ONCE(cpus[a[0]]->need_resched, 0u));
DO(balance, sched_balance(RQ));
DO(watch, watch((unsigned)a[0], STILL_NS + (u64)a[1])); /* @a[1] ns longer than STILL_NS */
DO(alive, all_alive(arch_clock_ns()));
DO(still, RQ->ticked = RQ->since = 0);
DO(leaving, RQ->leaving = (u32)a[1]);
DO(closing, RQ->closed = (u32)a[1]);
VERB(closed, RQ->closed);
DO(was, WRITE_ONCE(RQ->was, runner[a[1]].thread));
DO(lock, spin_lock(&RQ->lock));
DO(unlock, spin_unlock(&RQ->lock));
VERB(watched, RQ->watched);
VERB(takes, takes_threads((unsigned)a[0]));
DO(leave, sched_cpu_leave((unsigned)a[0]));

/* ---- the CPU with the fewest threads ---- */

/*
 * The chosen CPU if CPU 0 to 3 have as many threads as the digits of @a[0], CPU @a[1] goes down,
 * and the CPUs of the bits @a[2] have been silent for @a[3] longer than STILL_NS.
 */
static unsigned choose(const s64 *a)
{
	u64 now = arch_clock_ns() + 100; /* a reading takes 100 ns; the choice reads it once */
	unsigned cpu, best, digits = (unsigned)a[0];
	u32 had[CPUS];

	all_alive(now);
	for (cpu = CPUS; cpu-- > 0; digits /= 10) {
		had[cpu] = runqs[cpu].nr_threads;
		runqs[cpu].nr_threads = digits % 10;
		runqs[cpu].leaving = cpu == (unsigned)a[1];
		if (a[2] >> cpu & 1)
			runqs[cpu].ticked = runqs[cpu].since = now - STILL_NS - (u64)a[3];
	}
	best = sched_choose_cpu();
	for (cpu = 0; cpu < CPUS; cpu++)
		runqs[cpu].nr_threads = had[cpu];
	return best;
}

VERB(choose, choose(a));
VERB(none, CPUS); /* goes down */
/* The CPU that is chosen if CPU 3, without threads, has not ticked, or has not switched. */
VERB(choose_unticked, (runqs[3].ticked = 0, sched_choose_cpu()));
VERB(choose_unswitched, (runqs[3].since = 0, sched_choose_cpu()));

KTEST_SUITE(silence_sched, KTEST_MOSTLY_INSIDE);

/*
 * It is this CPU, if no other has fewer threads.  In the row with -3s its clock is ahead; in the
 * last but one row all are silent, and any will do.  The sleep lets no time below be negative.
 */
KTEST(new_thread_starts_on_the_cpu_with_the_fewest)
ROWS("sleep 4s; begin; choose 3333 none; choose 3223 none = 2; choose 3321 none = 3;"
     "choose 3122 none = 1; choose 0111 none; choose 0111 0 = 3; choose 0122 0 = 1;"
     "choose 3210 3 = 2; choose 5430 none 8 1 = 2; choose 5430 none 8 = 3;"
     "choose 5430 none 8 -3s = 3; choose 0435 0 14 1 = 2; choose 9885 3 6 1s; end")

/* After a tick without a switch, or a switch without a tick, a CPU counts as running. */
KTEST(switch_or_tick_shows_that_a_cpu_runs)
{
	u32 had = runqs[3].nr_threads;

	begin();
	runqs[3].nr_threads = 0;
	PLAY(t, "choose_unticked = 3; alive; choose_unswitched = 3");
	runqs[3].nr_threads = had;
	end(0);
}

/* ---- state of a queue ---- */

/* A CPU that runs threads needs no kick. */
KTEST(loads_threads_and_kicks_are_counted)
ROWS("begin; load 1; load 0 = 1; no_resched 1; ready 0 1; load 1 = 1; nr_ready 1 = 1; more 1 = 1;"
     "kicks = 1; resched 1 = 1; on 0 = 1; queued 0 = 1; no_resched 1; ready 1 1; load 1 = 2;"
     "nr_ready 1 = 2; more 1 = 2; kicks = 2; resched 1 = 1; on 1 = 1; queued 1 = 1; no_resched 0;"
     "ready 2 0; load 0 = 2; more 0 = 1; resched 0; kicks = 2; end 3; more 1; more 0; load 1;"
     "ran_on 0..1 = 1; ran_on 2")

/* ---- threads that sleep ---- */

static struct thread *sleepers[3];
static struct waitq wq = WAITQ("sleeper");
static u32 flag; /* atomic */

static bool flagged(void *arg)
{
	return load_acquire(&flag);
}

/* 0: sleeper @nr sleeps, with an alarm; 1: it is awake, without one. */
static int awake(unsigned nr)
{
	const struct thread *t = sleepers[nr];

	if (t->state == THREAD_RUNNABLE && !t->has_alarm && t->on_queue)
		return 1;
	return t->state == THREAD_SLEEPING && t->has_alarm && !t->on_queue ? 0 : -EBUSY;
}

WAIT(sleep_long, sleepers[a[0]] = thread_current(); thread_sleep(100 * S));
VERB(sleep_an_hour, (sleepers[0] = thread_current(), wait_until(&wq, flagged, NULL, 3600 * S)));
DO(flag, store_release(&flag, (u32)a[0]); wake_up(&wq));
VERB(awake, awake((unsigned)a[0]));
VERB(sleeper_on, sleepers[a[0]]->cpu);
VERB(wakes_late, sleepers[0]->wake_at > 50 * S);
DO(due_at, sleepers[a[0]]->wake_at = NOW + (u64)a[0]);
DO(due_now, sleepers[a[0]]->wake_at = 0);
DO(wake, thread_wake(sleepers[0]));
VERB(first_alarm, TAILQ_FIRST(&RQ->alarms) == sleepers[0]);
VERB(alarms, !TAILQ_EMPTY(&RQ->alarms));
DO(no_alarms, TAILQ_INIT(&RQ->alarms)); /* else a thread that was freed would be woken */

/*
 * The second wake-up does nothing: the thread is awake.  Its time is not over, so the thread sleeps
 * on, with an alarm again.
 */
KTEST(wake_up_kicks_the_cpu_once_and_counts_the_thread)
ROWS("2> sleep_long 0; sleep 3t; begin; awake 0; first_alarm 2 = 1; due_now 0; wake; awake 0 = 1;"
     "alarms 2; nr_ready 2 = 1; wake; nr_ready 2 = 1; kicks = 1; end; sleep 3t; awake 0;"
     "wakes_late = 1; join")

/* ---- moving a thread to an idle CPU ---- */

/* In turn: no CPU is idle and alive; CPU 2 is; CPU 2 has work, and CPU 3 stands still; CPU 3 is. */
KTEST(first_movable_thread_moves_to_the_first_idle_cpu)
ROWS("begin; ready 0 1; ready 1..3 1 1; leaving 2 1; still 3;"
     "balance 1; nr_ready 1 = 4; leaving 2 0; balance 1; on 0 = 1; on 1 = 2; on 2 = 1;"
     "on 3 = 1; nr_ready 1 = 3; nr_ready 2 = 1; more 1 = 3; more 2 = 1; balance 1;"
     "nr_ready 1 = 3; alive; balance 1; on 2 = 3; balance 1; on 3 = 1; nr_ready 1 = 2; end "
     "4;"
     "more 1; begin; balance 1; end")

/* ---- moving threads from a CPU that stands still ---- */

KTEST(cpus_are_watched_in_turn)
ROWS("begin; watch 0 -2s; watched 0; watch 1 -2s; watched 0 = 1; watch 2 -2s; watched 0 = 2;"
     "watch 3 -2s; watched 0 = 3; end")

/*
 * A queue that another CPU has locked, or closed, may not be touched.  Bound threads stay, and so
 * does the thread whose stack the CPU may be using; when the CPU goes down, the bound thread leaves
 * too, and the queue is closed.
 */
KTEST(ready_threads_leave_a_stalled_cpu)
ROWS("begin; ready 0 1; ready 1..3 1 1; watch 1; nr_ready 1 = 4;"
     "lock 1; watch 1 1; unlock 1; nr_ready 1 = 4; closing 1 1; watch 1 1; nr_ready 1 = 4;"
     "closing 1 0; was 1 2; watch 1 1; on 0 = 1; on 1; on 2 = 1; on 3; nr_ready 1 = 2;"
     "nr_ready 0 = 2; closed 1; leaving 1 1; watch 1 1; on 0; on 2 = 1; nr_ready 1 = 1;"
     "closed 1 = 1; end 4")

KTEST(one_tick_moves_a_bounded_number_of_threads)
ROWS("begin; ready 0..69 1 1; watch 1 1; nr_ready 1 = 6; nr_ready 0 = 64; end 70")

#define SLEEPERS "1> sleep_long 0; 1> sleep_long 1; 1> sleep_long 2; sleep 3t; begin; due_at 0..2;"

/* A bound thread moves only if its CPU goes down. */
KTEST(sleepers_of_a_stalled_cpu_are_woken_in_time)
ROWS(SLEEPERS "watch 1 1; awake 0 = 1; awake 1..2; sleeper_on 0..2 = 1; closed 1; due_now 0..2;"
              "end; join;" SLEEPERS "leaving 1 1; watch 1 1; awake 0..2 = 1; sleeper_on 0..2;"
              "closed 1 = 1; due_now 0..2; end; join")

/* ---- a CPU that goes offline and comes back ---- */

/* A thread that is bound to the leaving CPU starts on another CPU. */
KTEST(leaving_cpu_is_told_and_gets_no_thread)
ROWS("begin; no_resched 2; takes 2 = 1; leave 2; resched 2 = 1; takes 2; ready 0 2; on 0 != "
     "2;"
     "end 1")

/* ---- an alarm on a closed queue ---- */

/*
 * Another CPU has closed the queue of CPU 2, which stands still, just after a thread has set its
 * alarm there.  The thread is woken, and takes the alarm off the queue that it leaves.
 */
KTEST(woken_sleeper_leaves_no_alarm_behind)
ROWS("flag 0; 2> sleep_an_hour = 1; sleep 2t; silence 2; first_alarm 2 = 1; leaving 2 1;"
     "closing 2 1; flag 1; join; alarms 2; no_alarms 2; closing 2 0; leaving 2 0; speak 2")

/* ---- passing a CPU on, and leaving a share ---- */

#define RAN_NS (3 * MS)

static struct endpoint *ep;
static struct share *own;     /* the caller's */
static u64 turn_ns, early_ns; /* of it, as the receiver found them */

static int receive_once(void)
{
	struct ipc_msg msg = {.word = {0}};
	struct ipc_call *call;
	int err = ipc_receive(ep, &msg, &call, WAIT_FOREVER);

	turn_ns = own->turn_ns;
	early_ns = own->early_ns;
	return err ? err : ipc_reply(call, &msg);
}

VERB(receive_once, receive_once());
VERB(call, ipc_call(ep, &(struct ipc_msg){.word = {0}}, WAIT_FOREVER));

/* A caller that passes its CPU on has used time before its turn, or has ended its turn. */
KTEST(caller_pays_for_the_time_before_its_turn)
{
	struct runq *rq = &runqs[arch_cpu_id()];
	unsigned early;

	own = thread_current()->share;
	for (early = 0; early < 2; early++) {
		ep = NEED(t, endpoint_create());
		PLAY(t, "%u> receive_once; sleep 2t", arch_cpu_id());
		own->turn_ns = own->early_ns = 0;
		rq->early = early;
		rq->since = arch_clock_ns() - RAN_NS;
		PLAY(t, "call; join");
		EXPECT_EQ(t, early_ns >= RAN_NS, early);
		EXPECT(t, !turn_ns && (early || !early_ns));
		endpoint_put(ep, RIGHT_RECEIVE);
	}
}

/* Before the boost the time counts for the task, and then for the thread's own share. */
KTEST(time_counts_for_the_share_that_a_boosted_thread_had)
{
	struct thread *self = thread_current();
	struct share *shares = NEED(t, shares_new()), *task = &shares[self->cpu];
	struct runq *rq = &runqs[arch_cpu_id()];
	unsigned early, i;

	own = &self->own;
	for (early = 0; early < 2; early++) {
		irqflags_t saved = arch_irq_save();
		bool was = rq->early;

		*task = *own = (struct share){.ring = rq->ring};
		STAILQ_INIT(&task->threads);
		STAILQ_INIT(&own->threads);
		self->shares = shares;
		self->share = task;
		rq->early = early;
		for (i = 0; i < 2; i++) {
			struct share *from = i ? own : task, *to = i ? task : own;
			u64 had = to->early_ns + to->turn_ns;

			rq->since = arch_clock_ns() - RAN_NS;
			sched_boost(i == 0);
			EXPECT(t, self->share == to);
			EXPECT(t, (early ? from->early_ns : from->turn_ns) >= RAN_NS);
			EXPECT_EQ(t, early ? from->turn_ns : from->early_ns, 0);
			EXPECT_EQ(t, to->early_ns + to->turn_ns, had);
			EXPECT(t, arch_clock_ns() - rq->since < RAN_NS);
		}
		rq->early = was;
		sched_leave_shares(self);
		arch_irq_restore(saved);
	}
	kfree(shares);
}

/* The CPU was given to the boosted thread before its turn; the thread's task has none yet. */
KTEST(a_thread_that_is_boosted_no_more_waits_for_its_turn)
{
	struct thread *self = thread_current();
	struct share *shares = NEED(t, shares_new());
	unsigned early;

	for (early = 0; early < 2; early++) {
		begin();
		self->shares = shares;
		self->share = &shares[self->cpu];
		ready_on(0, self->cpu, true);
		sched_boost(true);
		runqs[self->cpu].early = early;
		arch_irq_restore(flags);
		sched_boost(false);
		EXPECT_EQ(t, READ_ONCE(runner[0].ran_on) != 0, early);
		flags = arch_irq_save();
		sched_leave_shares(self);
		end(1);
	}
	kfree(shares);
}
