/* SPDX-License-Identifier: MIT */
/*
 * test_silence_wait.c: waits, threads and messages, exact to the tick: the order in which waiters
 * continue, and their times; contexts that may not wait; preemption.
 */
#include "kernel/runq.h"
#include "tests/fiber/silence_help.h"
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/ipc.h>
#include <quarry/sched.h>
#include <quarry/task.h>

#define TICK (10 * MS)

/* ---- waiters ---- */

static struct {
	struct waitq wq;
	u32 go;    /* atomic */
	u64 order; /* the threads that have continued, a digit each */
} line;

struct in_line {
	struct thread *thread;
	unsigned nth;
	u64 ns;
	bool had;
	u64 took;
};

static bool may_go(void *arg)
{
	return load_acquire(&line.go);
}

static void stand_in_line(void *arg)
{
	struct in_line *w = arg;
	u64 began = arch_clock_ns();

	w->had = wait_until(&line.wq, may_go, NULL, w->ns);
	w->took = arch_clock_ns() - began;
	line.order = line.order * 10 + w->nth;
}

/* Start @nr waiters on CPU 1, one after the other; waiter @late times out after three ticks. */
static void form_line(struct in_line *w, unsigned nr, unsigned late)
{
	unsigned i;

	line.wq = WAITQ("line");
	line.go = 0;
	line.order = 0;
	for (i = 0; i < nr; i++) {
		w[i] = (struct in_line){.nth = i + 1, .ns = i == late ? 3 * TICK : WAIT_FOREVER};
		w[i].thread = thread_start("waiter", 1, stand_in_line, &w[i]);
		if (!w[i].thread)
			panic("no thread");
	}
}

KTEST_SUITE(silence_wait, 0);

KTEST(waiters_are_woken_in_order_of_arrival)
{
	struct in_line w[4];
	unsigned late, i;

	for (late = 0; late < 4; late++) {
		u64 order = late + 1;

		form_line(w, 4, late);
		thread_sleep(2 * TICK);
		for (i = 0; i < 4; i++)
			EXPECT_EQ(t, w[i].thread->has_alarm, i == late);
		/* No waiter may continue yet, and all sleep again. */
		wake_up(&line.wq);
		thread_sleep(3 * TICK);
		EXPECT_EQ(t, line.order, late + 1);
		store_release(&line.go, 1u);
		wake_up(&line.wq);
		for (i = 0; i < 4; i++) {
			thread_join(w[i].thread);
			EXPECT_EQ(t, w[i].had, i != late);
			order = i == late ? order : order * 10 + i + 1;
		}
		EXPECT_EQ(t, line.order, order);
		EXPECT(t, !line.wq.first);
	}
}

static bool never(void *arg)
{
	return false;
}

KTEST(a_wait_takes_its_time_and_a_tick)
{
	static const u64 ns[] = {1, TICK / 2, TICK, 5 * TICK / 2, S};
	struct waitq wq = WAITQ("nobody");
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		u64 began = arch_clock_ns(), took;

		EXPECT(t, !wait_until(&wq, never, NULL, ns[i]));
		took = arch_clock_ns() - began;
		EXPECT(t, took >= ns[i] && took <= ns[i] + 2 * TICK);
		began = arch_clock_ns();
		thread_sleep(ns[i]);
		took = arch_clock_ns() - began;
		EXPECT(t, took >= ns[i] && took <= ns[i] + 2 * TICK);
		EXPECT(t, !wq.first);
	}
	i = (unsigned)arch_clock_ns();
	EXPECT(t, !wait_until(&wq, never, NULL, 0));
	EXPECT(t, (unsigned)arch_clock_ns() - i < 1000);
}

/* A time limit beyond the end of the clock counts as none. */
KTEST_INSIDE(only_a_finite_limit_sets_an_alarm)
{
	const u64 ns[] = {
	    WAIT_FOREVER, WAIT_FOREVER - 1, WAIT_FOREVER - arch_clock_ns() + S, 1ULL << 63, S};
	struct in_line w;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		u64 before = arch_clock_ns();

		form_line(&w, 1, 1);
		w.ns = ns[i];
		thread_sleep(2 * TICK);
		EXPECT_EQ(t, w.thread->state, THREAD_SLEEPING);
		EXPECT_EQ(t, w.thread->has_alarm, i > 2);
		if (i > 2)
			EXPECT(t,
			    w.thread->wake_at >= before + ns[i] &&
			        w.thread->wake_at < before + ns[i] + TICK);
		store_release(&line.go, 1u);
		wake_up(&line.wq);
		thread_join(w.thread);
		EXPECT(t, w.had);
	}
}

static bool at_look(void *arg)
{
	unsigned *left = arg;

	return --*left == 0;
}

/* The thread checks before it sleeps, once more in the queue, and when its time is up. */
KTEST_INSIDE(condition_is_checked_again_at_the_time_limit)
{
	struct waitq wq = WAITQ("nobody");
	unsigned looks;

	for (looks = 1; looks <= 4; looks++) {
		unsigned left = looks;

		EXPECT_EQ(t, wait_until(&wq, at_look, &left, 1), looks < 4);
		EXPECT_EQ(t, left, looks < 4 ? 0 : 1);
	}
}

/* ---- contexts that may not wait ---- */

static struct spinlock lock = SPINLOCK("test", RANK_OBJECT);

static void sleep_one(void *arg)
{
	thread_sleep(1);
}

static void yield_one(void *arg)
{
	thread_yield();
}

static void end_one(void *arg)
{
	thread_exit();
}

static void (*waits)(void *);

static void without_interrupts(void *arg)
{
	irqflags_t flags = arch_irq_save();

	waits(NULL);
	arch_irq_restore(flags);
}

static void with_a_lock(void *arg)
{
	spin_lock(&lock);
	waits(NULL);
	spin_unlock(&lock);
}

static void unpreempted(void *arg)
{
	preempt_disable();
	waits(NULL);
	preempt_enable();
}

static void in_an_interrupt(void *arg)
{
	const cpumask_t other = 1UL << 1;

	smp_call_mask(&other, waits, NULL);
}

KTEST(waiting_in_a_wrong_context_panics)
{
	static void (*const all[])(void *) = {sleep_one, yield_one, end_one};
	static const char *const name[] = {
	    "thread_sleep: irqs", "thread_yield: irqs", "thread end: irqs"};
	unsigned i;
	u64 ns;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		waits = all[i];
		EXPECT(t, whole_panics(without_interrupts, NULL, name[i], &ns));
		EXPECT(t,
		    whole_panics(without_interrupts, NULL,
		        "irqs off, 0 locks held, preemption count 0", &ns));
		EXPECT(t,
		    whole_panics(
		        with_a_lock, NULL, "irqs on, 1 locks held, preemption count 1", &ns));
		EXPECT(t,
		    whole_panics(
		        unpreempted, NULL, "irqs on, 0 locks held, preemption count 1", &ns));
		EXPECT(t, whole_panics(in_an_interrupt, NULL, ", in an interrupt", &ns));
	}
}

/* ---- threads ---- */

static char name_seen[32];
static struct mm_task *mm_seen;

static void see_itself(void *arg)
{
	ksnprintf(name_seen, sizeof(name_seen), "%s", thread_name());
	mm_seen = port_task();
	*(unsigned *)arg = arch_cpu_id();
}

KTEST(thread_starts_on_its_cpu_with_its_name)
{
	unsigned cpu, on;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		struct thread *thread =
		    thread_start("a name of more than 23 letters", (int)cpu, see_itself, &on);
		const struct mm_task *mm = &thread->mm;

		REQUIRE(t, thread);
		EXPECT_EQ(t, thread->home, cpu);
		thread_join(thread);
		EXPECT_EQ(t, on, cpu);
		EXPECT(t, !strcmp(name_seen, "a name of more than 23 "));
		EXPECT(t, mm_seen == mm && mm != port_task());
	}
	EXPECT(t, !thread_start("nobody", (int)nr_cpus, see_itself, &on));
	EXPECT_EQ(t, cpu_down(3), 0);
	EXPECT(t, !thread_start("nobody", 3, see_itself, &on));
	EXPECT_EQ(t, cpu_up(3), 0);
}

/* ---- preemption ---- */

struct pair {
	u32 ran; /* atomic: the second thread has run */
	/* values of @ran that the first thread saw: preemption off; interrupts off; both on */
	u32 before, at, after;
};

static void run_second(void *arg)
{
	store_release(&((struct pair *)arg)->ran, 1u);
}

static void compute_unpreempted(void *arg)
{
	u64 until = arch_clock_ns() + 5 * TICK;
	struct pair *p = arg;
	irqflags_t flags;

	preempt_disable();
	while (arch_clock_ns() < until)
		cpu_relax();
	p->before = load_acquire(&p->ran);
	/*
	 * No switch comes while interrupts or preemption are off; the switch comes when both are
	 * on.
	 */
	flags = arch_irq_save();
	WRITE_ONCE(cpus[arch_cpu_id()]->need_resched, 1u);
	preempt_enable();
	p->at = load_acquire(&p->ran);
	preempt_disable();
	arch_irq_restore(flags);
	p->at += load_acquire(&p->ran);
	preempt_enable();
	p->after = load_acquire(&p->ran);
}

KTEST(thread_with_preemption_off_is_not_switched)
{
	struct pair p = {0};
	struct thread *first = thread_start("first", 1, compute_unpreempted, &p), *second;

	REQUIRE(t, first);
	second = NEED(t, thread_start("second", 1, run_second, &p));
	thread_join(first);
	thread_join(second);
	EXPECT_EQ(t, p.before, 0);
	EXPECT_EQ(t, p.at, 0);
	EXPECT_EQ(t, p.after, 1);
}

static void compute(void *arg)
{
	while (!load_acquire((u32 *)arg))
		cpu_relax();
}

/* Two computing threads take turns of a tick: the round ends after both turns, and not before. */
KTEST(threads_had_turn_needs_a_turn_of_each_cpu)
{
	struct thread *thread[2];
	u32 stop = 0;
	struct deaf deaf;
	unsigned i;
	u64 since;

	for (i = 0; i < 2; i++) {
		thread[i] = thread_start("compute", 1, compute, &stop);
		REQUIRE(t, thread[i]);
	}
	for (i = 0; i < 3; i++) {
		unsigned turns = 0;

		thread_sleep(TICK);
		since = arch_clock_ns();
		EXPECT(t, !threads_had_turn(since));
		while (turns < 20 && !threads_had_turn(since)) {
			thread_sleep(TICK);
			turns++;
		}
		EXPECT(t, turns >= 2 && turns < 8);
	}
	store_release(&stop, 1u);
	for (i = 0; i < 2; i++)
		thread_join(thread[i]);
	/* An idle CPU delays no round; a CPU with interrupts off does. */
	thread_sleep(3 * TICK);
	for (i = 0, since = arch_clock_ns(); i < 3; i++)
		thread_yield();
	EXPECT(t, threads_had_turn(since));
	deaf_begin(&deaf, 1, WAIT_FOREVER);
	thread_sleep(TICK);
	since = arch_clock_ns();
	thread_sleep(5 * S); /* long enough for the others to notice that this CPU stands still */
	EXPECT(t, !threads_had_turn(since));
	deaf_end(&deaf);
	thread_sleep(5 * TICK);
	EXPECT(t, threads_had_turn(since));
}

/* ---- messages ---- */

struct receiver {
	struct endpoint *ep;
	u64 ns, took;
	int err;
};

static void receive(void *arg)
{
	struct receiver *r = arg;
	u64 began = arch_clock_ns();
	struct ipc_call *call;
	struct ipc_msg msg;

	r->err = ipc_receive(r->ep, &msg, &call, r->ns);
	r->took = arch_clock_ns() - began;
	if (!r->err)
		ipc_call_drop(call);
}

/*
 * One call wakes both receivers, and one of them gets it: the other's time limit does not change.
 */
KTEST(waiter_that_loses_a_call_keeps_its_time_limit)
{
	static const u64 limits[] = {10 * TICK, WAIT_FOREVER, WAIT_FOREVER - 1};
	unsigned i, j;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		struct receiver r[2];
		struct ipc_msg msg = {.word = {1}};
		unsigned lost;

		for (j = 0; j < 2; j++) {
			r[j] =
			    (struct receiver){.ep = endpoint_create(), .ns = limits[i], .err = 1};
			if (j) {
				endpoint_put(r[1].ep, RIGHT_RECEIVE);
				r[1].ep = r[0].ep;
			}
			ktest_start(j + 1, receive, &r[j]);
		}
		thread_sleep(5 * TICK);
		EXPECT_EQ(t, ipc_call(r[0].ep, &msg, WAIT_FOREVER), -EPIPE);
		thread_sleep(2 * TICK);
		lost = r[0].err ? 0 : 1;
		EXPECT_EQ(t, r[!lost].err, 0);
		EXPECT_EQ(t, r[lost].err, 1);
		thread_sleep(20 * TICK);
		if (i == 0) {
			EXPECT_EQ(t, r[lost].err, -ETIMEDOUT);
			EXPECT(
			    t, r[lost].took >= limits[i] && r[lost].took <= limits[i] + 2 * TICK);
		} else {
			EXPECT_EQ(t, r[lost].err, 1);
			EXPECT_EQ(t, ipc_call(r[0].ep, &msg, WAIT_FOREVER), -EPIPE);
		}
		for (j = 0; j < 2; j++)
			ktest_join(j + 1);
		endpoint_put(r[0].ep, RIGHT_RECEIVE);
	}
}

static void call(void *arg)
{
	struct ipc_msg msg = {.word = {1}};
	struct receiver *r = arg;
	u64 began = arch_clock_ns();

	r->err = ipc_call(r->ep, &msg, r->ns);
	r->took = arch_clock_ns() - began;
}

/* The receiver is told to end before it answers: its answer reaches the caller all the same. */
KTEST(answer_of_a_receiver_that_ends_wakes_its_caller)
{
	static struct task ending = {.ending = TASK_KILLED};
	struct receiver r = {.ep = endpoint_create(), .ns = S};
	struct ipc_call *from;
	struct ipc_msg msg;

	ktest_start(1, call, &r);
	REQUIRE(t, ipc_receive(r.ep, &msg, &from, S) == 0);
	thread_current()->task = &ending;
	EXPECT_EQ(t, ipc_reply_receive(from, r.ep, &msg, &from, S), -EINTR);
	thread_current()->task = NULL;
	ktest_join(1);
	EXPECT_EQ(t, r.err, 0);
	EXPECT_TOOK(t, r.took, 0);
	endpoint_put(r.ep, RIGHT_RECEIVE);
}

KTEST(a_call_takes_its_time_and_a_tick)
{
	static const u64 ns[] = {0, 1, 3 * TICK};
	struct endpoint *ep = NEED(t, endpoint_create());
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		struct ipc_msg msg = {.word = {1}};
		struct receiver r = {.ep = ep, .ns = ns[i]};
		u64 began = arch_clock_ns();

		EXPECT_EQ(t, ipc_call(ep, &msg, ns[i]), -ETIMEDOUT);
		began = arch_clock_ns() - began;
		EXPECT(t, began >= ns[i] && began <= (ns[i] ? ns[i] + 2 * TICK : 10000));
		receive(&r);
		EXPECT_EQ(t, r.err, -ETIMEDOUT);
		EXPECT(t, r.took >= ns[i] && r.took <= (ns[i] ? ns[i] + 2 * TICK : 10000));
	}
	endpoint_put(ep, RIGHT_RECEIVE);
}
