/* SPDX-License-Identifier: MIT */
/*
 * explore_threads.c: sets of the explorer of threads: waiting, messages, capabilities, a CPU that goes; all of the kernel.
 */
#include "explore_threads.h"

/* ---- waiting ---- */

static bool is_flagged(void *arg)
{
	return load_acquire((u32 *)arg);
}

static void wait_for_flag(void)
{
	x.done = wait_until(&x.wq, is_flagged, &x.flag, WAIT_FOREVER);
	store_release(&x.ended, 1u);
}

static void wait_for_both(void)
{
	wait_for_flag();
	x.done_second = wait_until(&x.other, is_flagged, &x.second, WAIT_FOREVER);
}

static void wake(void)
{
	store_release(&x.flag, 1u);
	wake_up(&x.wq);
}

static void wake_second(void)
{
	store_release(&x.second, 1u);
	wake_up(&x.other);
}

/* Points at which a tick finds that another thread waits for its CPU. */
static void compute(void)
{
	unsigned i;

	for (i = 0; i < 10; i++) {
		preempt_disable();
		preempt_enable();
	}
}

static const char *judge_both(void)
{
	return x.done && x.done_second ? NULL : "the condition held, and the wait says no";
}

static void wait_twice_with_an_alarm(void)
{
	wait_until(&x.wq, is_flagged, &x.flag, THREADS_TICK_NS);
	x.done = true;
	/* An alarm that was left behind would be on the list twice. */
	wait_until(&x.other, is_flagged, &x.second, THREADS_TICK_NS);
	x.done_second = wait_until(&x.other, is_flagged, &x.second, WAIT_FOREVER);
}

/* ---- messages: a call that gives a capability, the answer gives another ---- */

static struct cap new_gift(void)
{
	return (struct cap){.object = endpoint_create(), .rights = RIGHTS_ALL, .kind = CAP_ENDPOINT};
}

static void new_endpoint(void)
{
	x.task.refs = 1;
	x.task.lock = SPINLOCK("task", RANK_TASK);
	x.ep = endpoint_create();
}

static void call(u64 timeout_ns)
{
	struct ipc_msg msg = {.word = {1}, .give = new_gift()};

	x.called = ipc_call(x.ep, &msg, timeout_ns);
	cap_drop(&msg.give);
}

static void call_for_ever(void)
{
	thread_current()->task = &x.task;
	call(WAIT_FOREVER);
	thread_current()->task = NULL;
	spin_lock(&x.task.lock);
	x.ended = 1;
	spin_unlock(&x.task.lock);
}

static void call_with_timeout(void)
{
	call(THREADS_TICK_NS);
}

static void serve(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, 5 * THREADS_TICK_NS);
	if (x.received)
		return;
	cap_drop(&msg.give);
	msg.give = new_gift();
	x.replied = ipc_reply(from, &msg);
}

static void receive_and_drop(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, 5 * THREADS_TICK_NS);
	if (x.received)
		return;
	cap_drop(&msg.give);
	ipc_call_drop(from);
}

static void kill_caller(void)
{
	store_release(&x.task.ending, (u32)TASK_KILLED);
	/* Of a thread that has left its task nobody knows that it lives. */
	spin_lock(&x.task.lock);
	if (!x.ended)
		thread_wake(x.thread[0]);
	spin_unlock(&x.task.lock);
}

static void close_endpoint(void)
{
	endpoint_get(x.ep, 0);
	endpoint_put(x.ep, RIGHT_RECEIVE);
}

static const char *judge_call(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (!x.called && (x.received || x.replied))
		return "the caller has an answer that nobody gave";
	if (x.called && !x.received && !x.replied)
		return "the answer was taken, and the caller has none";
	if (x.received && x.received != -ETIMEDOUT)
		return "receiving failed";
	return x.called == 0 || x.called == -EINTR || x.called == -ETIMEDOUT ? NULL : "calling failed";
}

/* Who could receive at the end went first, or the answer; or nobody received it. */
static const char *judge_closed(void)
{
	endpoint_put(x.ep, 0);
	return x.called == -EPIPE && (!x.received || x.received == -ETIMEDOUT) ? NULL
	    : "a call whose endpoint was closed did not fail";
}

/* ---- capabilities ---- */

static void new_table(void)
{
	const struct cap gift = new_gift();

	if (cap_table_init(&x.table))
		panic("no table");
	x.handle = cap_install(&x.table, &gift);
}

static void take(unsigned nr)
{
	struct cap cap;

	x.took[nr] = cap_take(&x.table, (u64)x.handle, CAP_ENDPOINT, &cap);
	if (!x.took[nr])
		cap_drop(&cap);
}

static void take_0(void)
{
	take(0);
}

static void take_1(void)
{
	take(1);
}

static void look_up(void)
{
	struct cap cap;

	if (!cap_lookup(&x.table, (u64)x.handle, CAP_ENDPOINT, RIGHT_SEND, &cap))
		cap_drop(&cap);
}

static const char *judge_taken(void)
{
	cap_table_destroy(&x.table);
	return (x.took[0] == 0) + (x.took[1] == 0) == 1 ? NULL : "not exactly one has taken it";
}

/* ---- a CPU that goes ---- */

static void cpu_3_goes_and_comes(void)
{
	threads_cpu_down(3);
	threads_cpu_up(3);
}

/* Until the sleeper, which it has given away, has ended. */
static void cpu_3_is_away(void)
{
	threads_cpu_down(3);
	while (!load_acquire(&x.ended))
		thread_yield();
	threads_cpu_up(3);
}

static const char *judge_wait(void)
{
	return x.done ? NULL : "the condition held, and the wait says no";
}

/* The condition comes true, and nobody says so: only an alarm finds it. */
static void flag_silently(void)
{
	store_release(&x.flag, 1u);
}

static void wait_with_alarms(void)
{
	while (!wait_until(&x.wq, is_flagged, &x.flag, 2 * THREADS_TICK_NS))
		;
	x.done = true;
	store_release(&x.ended, 1u);
}

/* Name, what comes before, the roles, the judge. */
#define SETS \
	X(no_wake_up_is_lost, NULL, wait_for_both, wake, wake_second, 3, judge_both) \
	X(no_wake_up_is_lost_beside_another, NULL, wait_for_flag, wake, compute, 1, judge_wait) \
	X(an_alarm_meets_a_wake_up, NULL, wait_twice_with_an_alarm, wake, wake_second, 3, judge_both) \
	X(a_kill_meets_a_transfer, new_endpoint, call_for_ever, serve, kill_caller, 3, judge_call) \
	X(a_kill_meets_a_transfer_on_one_cpu, new_endpoint, call_for_ever, serve, kill_caller, 1, judge_call) \
	X(a_time_out_meets_a_reply, new_endpoint, call_with_timeout, serve, NULL, 3, judge_call) \
	X(an_endpoint_closes_under_a_call, new_endpoint, call_for_ever, receive_and_drop, close_endpoint, 3, \
	    judge_closed) \
	X(two_take_one_capability, new_table, take_0, take_1, look_up, 3, judge_taken) \
	X(a_sleeper_whose_cpu_goes_is_woken, NULL, wake, cpu_3_is_away, wait_for_flag, 3, judge_wait) \
	X(a_thread_is_handed_over_and_comes_back, NULL, wake, cpu_3_goes_and_comes, wait_for_flag, 3, judge_wait) \
	X(a_cpu_that_goes_hands_its_alarms_over, NULL, flag_silently, cpu_3_is_away, wait_with_alarms, 3, judge_wait)

#define X(id, before, a, b, c, c_on, judges) \
	{.name = #id, .setup = (before), .role = {(a), (b), (c)}, .third_on = (c_on), .judge = (judges)},
static const struct set sets[] = {SETS};
#undef X

const struct explore_suite thread_suite = {"threads", sets, ARRAY_SIZE(sets)};
