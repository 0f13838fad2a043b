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

DO(begin, go = 0; order = 0);
DO(endpoint, ep = endpoint_create());
DO(end, endpoint_put(ep, RIGHT_RECEIVE));
VERB(alarms,
    waiter[1]->has_alarm + waiter[2]->has_alarm + waiter[3]->has_alarm + waiter[4]->has_alarm);
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

#define ON   " 0 = 1; "
#define LATE " 3t; "
#define LINE(first, second, third, fourth, late, all)                                              \
	"begin; 1> wait 1" first "1> wait 2" second "1> wait 3" third "1> wait 4" fourth           \
	"sleep 2t; alarms = 1; alarm " #late " = 1; wake; sleep 3t; order = " #late "; go; join;"  \
	"order = " #all "; empty = 1;"

/*
 * One waiter's time is up after three ticks.  At the first wake-up no waiter may continue yet, and
 * all sleep again.
 */
KTEST(waiters_are_woken_in_order_of_arrival)
ROWS(LINE(LATE, ON, ON, ON, 1, 1234) LINE(ON, LATE, ON, ON, 2, 2134) LINE(ON, ON, LATE, ON, 3, 3124)
        LINE(ON, ON, ON, LATE, 4, 4123))

#define TAKES(ns)                                                                                  \
	"wait_never " ns " @" ns " + 2t; nap " ns " @" ns " + 2t; empty = 1; call " ns             \
	" = -ETIMEDOUT @" ns " + 2t; receive " ns " = -ETIMEDOUT @" ns " + 2t;"

KTEST(a_wait_takes_its_time_and_a_tick)
ROWS("endpoint;" TAKES("1") TAKES("5ms") TAKES("1t") TAKES("25ms")
        TAKES("1s") "wait_never 0 @0 + 1000; call 0 = -ETIMEDOUT @0 + 10000;"
                    "receive 0 = -ETIMEDOUT @0 + 10000; end")

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

/* Is the condition true when it is checked for the @left-th time?  10, and the checks not made. */
static unsigned check(unsigned left)
{
	bool had = wait_until(&wq, at_look, &left, 1);

	return 10 * had + left;
}

VERB(check, check((unsigned)a[0]));

/* The thread checks before it sleeps, once more in the queue, and when its time is up. */
KTEST_INSIDE(condition_is_checked_again_at_the_time_limit)
ROWS("check 1..3 = 10; check 4 = 1")

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

#define CONTEXTS(name, way)                                                                        \
	"panics [" name ": irqs] wait_in 0 " #way ";"                                              \
	"panics [irqs off, 0 locks held, preemption count 0] wait_in 0 " #way ";"                  \
	"panics [irqs on, 1 locks held, preemption count 1] wait_in 1 " #way ";"                   \
	"panics [irqs on, 0 locks held, preemption count 1] wait_in 2 " #way ";"                   \
	"panics [, in an interrupt] wait_in 3 " #way ";"

KTEST(waiting_in_a_wrong_context_panics)
ROWS(CONTEXTS("thread_sleep", 0) CONTEXTS("thread_yield", 1) CONTEXTS("thread end", 2))

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

	second_ran = 0;
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

VERB(seen, before + 2 * at + 4 * after);

KTEST(thread_with_preemption_off_is_not_switched)
ROWS("1> unpreempted; 1> second; join; seen = 4")

static u64 since;

/* Are fewer than two, or more than seven, turns of a tick enough for a round? */
static bool round_is_wrong(void)
{
	unsigned turns;

	since = arch_clock_ns();
	for (turns = 0; turns < 20 && !threads_had_turn(since); turns++)
		thread_sleep(TICK);
	thread_sleep(TICK);
	return turns < 2 || turns > 7;
}

WAIT(compute, while (!load_acquire(&stop)) cpu_relax());
VERB(had_turn, threads_had_turn(since));
DO(yield, since = arch_clock_ns(); thread_yield(); thread_yield(); thread_yield());
DO(since, since = arch_clock_ns());
DO(stop_threads, store_release(&stop, (u32)a[0]));
VERB_OF(wrong_round, true, round_is_wrong());

/*
 * Two computing threads take turns of a tick: the round ends after both turns, and not before.  An
 * idle CPU delays no round; a CPU with interrupts off does, even when the others have noticed that
 * it stands still.
 */
KTEST(threads_had_turn_needs_a_turn_of_each_cpu)
ROWS("stop_threads 0; 1> compute; 1> compute; sleep 1t; wrong_round 1..3; stop_threads 1; join;"
     "sleep 3t; yield; had_turn = 1; silence 1; sleep 1t; since; sleep 5s; had_turn; speak 1;"
     "sleep 5t; had_turn = 1")

/* ---- messages ---- */

#define NO_LIMIT(limit)                                                                            \
	"1> receive " #limit "; 2> receive " #limit "; sleep 5t; call FOREVER = -EPIPE; sleep 2t;" \
	"running = 1; sleep 20t; running = 1; call FOREVER = -EPIPE; join;"

/*
 * One call wakes both receivers, and one of them gets it: the other's time limit does not change.
 * -1 is WAIT_FOREVER.
 */
KTEST(waiter_that_loses_a_call_keeps_its_time_limit)
ROWS("endpoint; 1> receive 10t <= 0 @?; 2> receive 10t <= 0 @?; sleep 5t; call FOREVER = -EPIPE;"
     "sleep 2t; running = 1; sleep 2t; running = 1; sleep 3t; running; last = -ETIMEDOUT;"
     "join;" NO_LIMIT(-1) NO_LIMIT(-2) "end")

static struct task ending = {.ending = TASK_KILLED};

/* Receive, and answer, as a thread that is told to end between. */
static int answer_at_the_end(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;
	int err = ipc_receive(ep, &msg, &from, S);

	thread_current()->task = &ending;
	err = err ? err : ipc_reply_receive(from, ep, &msg, &from, S);
	thread_current()->task = NULL;
	return err;
}

VERB(answer_at_the_end, answer_at_the_end());

/* The receiver is told to end before it answers: its answer reaches the caller all the same. */
KTEST(answer_of_a_receiver_that_ends_wakes_its_caller)
ROWS("endpoint; 1> call 1s; answer_at_the_end = -EINTR; join; end")
