/* SPDX-License-Identifier: MIT */
/*
 * test_silence_wait.c: waits, threads and messages, exact to the tick: the order in which waiters
 * continue, and their times; contexts that may not wait; preemption.
 */
#include "kernel/runq.h"
#include "tests/fiber/silence_help.h"
#include <quarry/console.h>
#include <quarry/sched.h>
#include <quarry/task.h>

/* ---- waiters ---- */

static struct waitq wq = WAITQ("line");
static struct thread *waiter[5];
static u32 go;    /* atomic */
static u64 order; /* the waiters that have continued, a digit each */

static bool may_go(void *arg)
{
	return load_acquire(&go);
}

/* Waiter @nr; it waits for @ns, 0: without a limit. */
static bool stand_in_line(unsigned nr, u64 ns)
{
	bool had;

	waiter[nr] = thread_current();
	had = wait_until(&wq, may_go, NULL, ns ? ns : WAIT_FOREVER);
	order = order * 10 + nr;
	return had;
}

static bool never(void *arg)
{
	return false;
}

static bool at_look(void *arg)
{
	unsigned *left = arg;

	return --*left == 0;
}

static struct endpoint *ep;
static int last; /* the result of the receiver that ended last */

static int receive(u64 ns)
{
	struct ipc_msg msg;
	struct ipc_call *from;
	int err = ipc_receive(ep, &msg, &from, ns);

	if (!err)
		ipc_call_drop(from);
	last = err;
	return err;
}

VERB(wait, stand_in_line((unsigned)a[0], (u64)a[1]));
DO(go, store_release(&go, 1u); wake_up(&wq));
DO(wake, wake_up(&wq));
VERB(order, order);
VERB(alarm, waiter[a[0]]->has_alarm);
VERB(empty, !wq.first);
VERB(wait_never, wait_until(&wq, never, NULL, (u64)a[0]));
DO(nap, thread_sleep((u64)a[0]));
VERB(call, ipc_call(ep, &(struct ipc_msg){.word = {1}}, (u64)a[0]));
VERB(receive, receive((u64)a[0]));
VERB(last, last);

KTEST_SUITE(silence_wait, 0);

/*
 * One waiter's time is up after three ticks.  At the first wake-up no waiter may continue yet, and
 * all sleep again.
 */
KTEST(waiters_are_woken_in_order_of_arrival)
{
	static const char *const want[] = {"1234", "2134", "3124", "4123"};
	unsigned late, i;

	for (late = 1; late <= 4; late++) {
		go = 0;
		order = 0;
		for (i = 1; i <= 4; i++)
			PLAY(t, "1> wait %u %s", i, i == late ? "3t = 0" : "0 = 1");
		PLAY(t, "sleep 2t");
		for (i = 1; i <= 4; i++)
			PLAY(t, "alarm %u = %u", i, i == late);
		PLAY(t, "wake; sleep 3t; order = %u; go; join; order = %s; empty = 1", late,
		    want[late - 1]);
	}
}

KTEST(a_wait_takes_its_time_and_a_tick)
{
	static const u64 ns[] = {1, TICK / 2, TICK, 5 * TICK / 2, S};
	unsigned long n;
	unsigned i;

	ep = NEED(t, endpoint_create());
	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		n = ns[i];
		PLAY(t,
		    "wait_never %lu @%lu + 2t; nap %lu @%lu + 2t; empty = 1;"
		    "call %lu = -ETIMEDOUT @%lu + 2t; receive %lu = -ETIMEDOUT @%lu + 2t",
		    n, n, n, n, n, n, n, n);
	}
	PLAY(t,
	    "wait_never 0 @0 + 1000; call 0 = -ETIMEDOUT @0 + 10000;"
	    "receive 0 = -ETIMEDOUT @0 + 10000");
	endpoint_put(ep, RIGHT_RECEIVE);
}

/* A time limit beyond the end of the clock counts as none. */
KTEST_INSIDE(only_a_finite_limit_sets_an_alarm)
{
	const u64 ns[] = {
	    WAIT_FOREVER, WAIT_FOREVER - 1, WAIT_FOREVER - arch_clock_ns() + S, 1ULL << 63, S};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		u64 end = arch_clock_ns() + ns[i];

		go = 0;
		PLAY(t, "1> wait 1 %lld = 1; sleep 2t; alarm 1 = %u", (long long)ns[i], i > 2);
		EXPECT_EQ(t, waiter[1]->state, THREAD_SLEEPING);
		if (i > 2)
			EXPECT(t, waiter[1]->wake_at >= end && waiter[1]->wake_at < end + TICK);
		PLAY(t, "go; join");
	}
}

/* The thread checks before it sleeps, once more in the queue, and when its time is up. */
KTEST_INSIDE(condition_is_checked_again_at_the_time_limit)
{
	unsigned looks, left;

	for (looks = 1; looks <= 4; looks++) {
		left = looks;
		EXPECT_EQ(t, wait_until(&wq, at_look, &left, 1), looks < 4);
		EXPECT_EQ(t, left, looks < 4 ? 0 : 1);
	}
}

/* ---- contexts that may not wait ---- */

static struct spinlock lock = SPINLOCK("test", RANK_OBJECT);

/* Sleep, yield, or end. */
static void wait_by(void *way)
{
	if ((uintptr_t)way == 0)
		thread_sleep(1);
	else if ((uintptr_t)way == 1)
		thread_yield();
	else
		thread_exit();
}

/* Wait: with interrupts off; with a lock; with preemption off; in an interrupt. */
static int wait_in(s64 context, void *way)
{
	const cpumask_t other = 1UL << 1;

	if (context == 0)
		arch_irq_save();
	else if (context == 1)
		spin_lock(&lock);
	else if (context == 2)
		preempt_disable();
	else
		smp_call_mask(&other, wait_by, way);
	wait_by(way);
	return 0;
}

VERB(wait_in, wait_in(a[0], (void *)(uintptr_t)a[1]));

KTEST(waiting_in_a_wrong_context_panics)
{
	static const char *const name[] = {"thread_sleep", "thread_yield", "thread end"};
	unsigned way;

	for (way = 0; way < ARRAY_SIZE(name); way++)
		PLAY(t,
		    "panics [%s: irqs] wait_in 0 %u;"
		    "panics [irqs off, 0 locks held, preemption count 0] wait_in 0 %u;"
		    "panics [irqs on, 1 locks held, preemption count 1] wait_in 1 %u;"
		    "panics [irqs on, 0 locks held, preemption count 1] wait_in 2 %u;"
		    "panics [, in an interrupt] wait_in 3 %u",
		    name[way], way, way, way, way, way);
}

/* ---- threads ---- */

static char name_seen[32];
static struct mm_task *mm_seen;

static void see(void *on)
{
	ksnprintf(name_seen, sizeof(name_seen), "%s", thread_name());
	mm_seen = port_task();
	*(int *)on = (int)arch_cpu_id();
}

KTEST(thread_starts_on_its_cpu_with_its_name)
{
	int cpu, on;

	for (cpu = 0; cpu < (int)CPUS; cpu++) {
		struct thread *thread =
		    NEED(t, thread_start("a name of more than 23 letters", cpu, see, &on));
		const struct mm_task *mm = &thread->mm;

		EXPECT_EQ(t, thread->home, cpu);
		thread_join(thread);
		EXPECT_EQ(t, on, cpu);
		EXPECT(t, !strcmp(name_seen, "a name of more than 23 "));
		EXPECT(t, mm_seen == mm && mm != port_task());
	}
	EXPECT(t, !thread_start("nobody", (int)CPUS, see, &on));
	EXPECT_EQ(t, cpu_down(3), 0);
	EXPECT(t, !thread_start("nobody", 3, see, &on));
	EXPECT_EQ(t, cpu_up(3), 0);
}

/* ---- preemption ---- */

static u32 stop;       /* atomic: threads end */
static u32 second_ran; /* atomic */
/* values of second_ran that the first thread saw: preemption off; interrupts off; both on */
static u32 before, at, after;

static void compute_unpreempted(void)
{
	u64 until = arch_clock_ns() + 5 * TICK;
	irqflags_t flags;

	preempt_disable();
	while (arch_clock_ns() < until)
		cpu_relax();
	before = load_acquire(&second_ran);
	/* No switch comes while interrupts or preemption are off, but when both are on. */
	flags = arch_irq_save();
	WRITE_ONCE(cpus[arch_cpu_id()]->need_resched, 1u);
	preempt_enable();
	at = load_acquire(&second_ran);
	preempt_disable();
	arch_irq_restore(flags);
	at += load_acquire(&second_ran);
	preempt_enable();
	after = load_acquire(&second_ran);
}

WAIT(unpreempted, compute_unpreempted());
DO(second, store_release(&second_ran, 1u));

KTEST(thread_with_preemption_off_is_not_switched)
{
	second_ran = 0;
	PLAY(t, "1> unpreempted; 1> second; join");
	EXPECT(t, before == 0 && at == 0 && after == 1);
}

static u64 since;

static unsigned turns_of_a_round(void)
{
	unsigned turns;

	since = arch_clock_ns();
	for (turns = 0; turns < 20 && !threads_had_turn(since); turns++)
		thread_sleep(TICK);
	return turns;
}

WAIT(compute, while (!load_acquire(&stop)) cpu_relax());
VERB(had_turn, threads_had_turn(since));
DO(yield, since = arch_clock_ns(); thread_yield(); thread_yield(); thread_yield());
DO(since, since = arch_clock_ns());
DO(stop_threads, store_release(&stop, 1u));

/*
 * Two computing threads take turns of a tick: the round ends after both turns, and not before.  An
 * idle CPU delays no round; a CPU with interrupts off does, even when the others have noticed that
 * it stands still.
 */
KTEST(threads_had_turn_needs_a_turn_of_each_cpu)
{
	unsigned i;

	stop = 0;
	PLAY(t, "1> compute; 1> compute");
	for (i = 0; i < 3; i++) {
		PLAY(t, "sleep 1t");
		EXPECT_RANGE(t, turns_of_a_round(), 2, 7);
	}
	PLAY(t,
	    "stop_threads; join; sleep 3t; yield; had_turn = 1; silence 1; sleep 1t; since;"
	    "sleep 5s; had_turn; speak 1; sleep 5t; had_turn = 1");
}

/* ---- messages ---- */

/*
 * One call wakes both receivers, and one of them gets it: the other's time limit does not change.
 */
KTEST(waiter_that_loses_a_call_keeps_its_time_limit)
{
	static const s64 limits[] = {-1, -2}; /* WAIT_FOREVER, and 1 ns less */
	unsigned i;

	ep = NEED(t, endpoint_create());
	PLAY(t,
	    "1> receive 10t <= 0 @?; 2> receive 10t <= 0 @?; sleep 5t; call FOREVER = -EPIPE;"
	    "sleep 2t; running = 1; sleep 2t; running = 1; sleep 3t; running; last = -ETIMEDOUT; "
	    "join");
	for (i = 0; i < ARRAY_SIZE(limits); i++)
		PLAY(t,
		    "1> receive %lld; 2> receive %lld; sleep 5t; call FOREVER = -EPIPE;"
		    "sleep 2t; running = 1; sleep 20t; running = 1; call FOREVER = -EPIPE; join",
		    (long long)limits[i], (long long)limits[i]);
	endpoint_put(ep, RIGHT_RECEIVE);
}

/* The receiver is told to end before it answers: its answer reaches the caller all the same. */
KTEST(answer_of_a_receiver_that_ends_wakes_its_caller)
{
	static struct task ending = {.ending = TASK_KILLED};
	struct ipc_call *from;
	struct ipc_msg msg;

	ep = NEED(t, endpoint_create());
	PLAY(t, "1> call 1s");
	REQUIRE(t, ipc_receive(ep, &msg, &from, S) == 0);
	thread_current()->task = &ending;
	EXPECT_EQ(t, ipc_reply_receive(from, ep, &msg, &from, S), -EINTR);
	thread_current()->task = NULL;
	PLAY(t, "join");
	endpoint_put(ep, RIGHT_RECEIVE);
}
