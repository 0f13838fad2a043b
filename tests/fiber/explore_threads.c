/* SPDX-License-Identifier: MIT */
/*
 * explore_threads.c: sets of the explorer of threads: waits, messages, capabilities, a CPU that
 * goes down; all roles are threads of the kernel.
 */
#include "explore_threads.h"
#include <quarry/hotplug.h>

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

ROLE(wake, store_release(&x.flag, 1u); wake_up(&x.wq));
ROLE(wake_second, store_release(&x.second, 1u); wake_up(&x.other));

/* Pass points at which a tick can find that another thread waits for this CPU. */
static void compute(void)
{
	unsigned i;

	for (i = 0; i < 10; i++) {
		preempt_disable();
		preempt_enable();
	}
}

JUDGE(judge_both, (x.done && x.done_second), "the condition held, and the wait says no");

static void wait_twice_with_an_alarm(void)
{
	wait_until(&x.wq, is_flagged, &x.flag, THREADS_TICK_NS);
	x.done = true;
	/* If the alarm of the first wait were left behind, it would now be on the list twice. */
	wait_until(&x.other, is_flagged, &x.second, THREADS_TICK_NS);
	x.done_second = wait_until(&x.other, is_flagged, &x.second, WAIT_FOREVER);
}

/* ---- messages: a call and its answer, each with a capability ---- */

static struct cap new_gift(void)
{
	return (struct cap){
	    .object = endpoint_create(), .rights = RIGHTS_ALL, .kind = CAP_ENDPOINT};
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

ROLE(call_with_timeout, call(THREADS_TICK_NS));

static void serve_until(u64 timeout_ns)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, timeout_ns);
	if (x.received)
		return;
	cap_drop(&msg.give);
	msg.give = new_gift();
	x.replied = ipc_reply(from, &msg);
}

ROLE(serve, serve_until(5 * THREADS_TICK_NS));
ROLE(serve_for_ever, serve_until(WAIT_FOREVER));
ROLE(call_after_half_of_the_time, thread_sleep(10 * THREADS_TICK_NS); call(40 * THREADS_TICK_NS));

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
	/* A thread that has left its task must not be woken. */
	spin_lock(&x.task.lock);
	if (!x.ended)
		thread_wake(x.thread[0]);
	spin_unlock(&x.task.lock);
}

ROLE(close_endpoint, endpoint_get(x.ep, 0); endpoint_put(x.ep, RIGHT_RECEIVE));

static const char *judge_call(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (!x.called && (x.received || x.replied))
		return "the caller has an answer that nobody gave";
	if (x.called && !x.received && !x.replied)
		return "the answer was taken, and the caller has none";
	if (x.received && x.received != -ETIMEDOUT)
		return "receiving failed";
	return x.called == 0 || x.called == -EINTR || x.called == -ETIMEDOUT ? NULL
	                                                                     : "calling failed";
}

/* The last receiver left first, or the answer arrived first, or the call was never received. */
static const char *judge_closed(void)
{
	endpoint_put(x.ep, 0);
	return x.called == -EPIPE && (!x.received || x.received == -ETIMEDOUT)
	    ? NULL
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

ROLE(take_0, take(0));
ROLE(take_1, take(1));

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

/* ---- a CPU that goes down ---- */

static void goes(unsigned cpu)
{
	if (cpu_down(cpu))
		panic("CPU %u does not go", cpu);
}

static void comes(unsigned cpu)
{
	if (cpu_up(cpu))
		panic("CPU %u does not come", cpu);
}

ROLE(cpu_3_goes_and_comes, goes(3); comes(3));

/* CPU 3 hands the sleeper to another CPU, and stays down until the sleeper has ended. */
static void cpu_3_is_away(void)
{
	goes(3);
	while (!load_acquire(&x.ended))
		thread_yield();
	comes(3);
}

JUDGE(judge_wait, x.done, "the condition held, and the wait says no");

/* The condition becomes true without a wake-up: only an alarm makes the waiter check it. */
ROLE(flag_silently, store_release(&x.flag, 1u));

static void wait_with_alarms(void)
{
	while (!wait_until(&x.wq, is_flagged, &x.flag, 2 * THREADS_TICK_NS))
		;
	x.done = true;
	store_release(&x.ended, 1u);
}

/* The thread stays on the CPU to which the leaving CPU has moved it. */
ROLE(wait_unbound, thread_current()->home = -1; wait_for_flag());

static void say_ended(void *arg)
{
	store_release(&x.ended, 1u);
}

static void start_another(void)
{
	struct thread *t = thread_start("other", -1, say_ended, NULL);

	if (!t)
		panic("no thread");
	thread_join(t);
	x.done = true;
}

ROLE(wake_both, wake(); wake_second());

static const char *judge_answered(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	return x.called || x.received || x.replied ? "a message was lost with a CPU" : NULL;
}

static void ask_down(unsigned nr, unsigned cpu)
{
	x.took[nr] = cpu_down(cpu);
}

ROLE(cpu_3_goes, ask_down(0, 3));
ROLE(cpu_3_goes_too, ask_down(1, 3));
ROLE(cpu_2_goes, ask_down(0, 2));
ROLE(cpu_1_goes, ask_down(1, 1));
ROLE(cpu_3_comes, x.took[1] = cpu_up(3));

/* Bring all CPUs up; returns the number that were down. */
static unsigned all_come(void)
{
	unsigned cpu, down = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		int err = cpu_up(cpu);

		if (err && err != -EALREADY)
			panic("CPU %u does not come: %d", cpu, err);
		down += !err;
	}
	return down;
}

static const char *judge_went_once(void)
{
	bool once = (x.took[0] == 0 && x.took[1] == -EALREADY) ||
	    (x.took[0] == -EALREADY && x.took[1] == 0);

	return once && all_come() == 1 ? NULL : "not exactly one has taken it down";
}

JUDGE(judge_both_went, !x.took[0] && !x.took[1] && all_come() == 2, "not both CPUs are down");

/* cpu_up found CPU 3 online (-EALREADY), or offline and brought it up. */
static const char *judge_came(void)
{
	bool came = x.took[1] == 0;

	return all_come() == !came && !x.took[0] && (came || x.took[1] == -EALREADY)
	    ? NULL
	    : "a CPU is not as who asked was told";
}

/* Take down all CPUs that can go. */
static void all_go_from_0(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		x.result[cpu] = cpu_down(cpu);
}

static void all_go_from_3(void)
{
	unsigned cpu;

	for (cpu = nr_cpus; cpu-- > 0;)
		x.result[nr_cpus + cpu] = cpu_down(cpu);
}

static const char *judge_last_stays(void)
{
	unsigned i, went = 0, refused[2] = {0, 0};

	for (i = 0; i < 2 * nr_cpus; i++) {
		went += x.result[i] == 0;
		refused[i / nr_cpus] += x.result[i] == -EBUSY;
		if (x.result[i] && x.result[i] != -EBUSY && x.result[i] != -EALREADY)
			return "a CPU does not go";
	}
	return went == 3 && refused[0] == 1 && refused[1] == 1 && all_come() == 3
	    ? NULL
	    : "not the last CPU alone was refused";
}

/* Name, setup, the roles, the CPU of the third, the judge. */
#define SETS                                                                                       \
	X(no_wake_up_is_lost, NULL, wait_for_both, wake, wake_second, 3, judge_both)               \
	X(no_wake_up_is_lost_beside_another, NULL, wait_for_flag, wake, compute, 1, judge_wait)    \
	X(an_alarm_meets_a_wake_up, NULL, wait_twice_with_an_alarm, wake, wake_second, 3,          \
	    judge_both)                                                                            \
	X(a_task_ends_while_its_thread_goes_to_sleep, new_shares, end_task_of_second,              \
	    sleep_until_killed, NULL, 3, judge_killed)                                             \
	X(a_lock_is_freed_by_its_last_owner, new_lock, lock_and_free_as_last,                      \
	    lock_and_free_as_last, NULL, 3, judge_both_ended)                                      \
	X(a_lock_is_freed_by_an_owner_that_never_slept, new_held_lock, unlock_for_one,             \
	    lock_late_and_free, NULL, 3, judge_both_ended)                                         \
	X(a_lock_wakes_its_next_owner_only, new_held_lock, hold_until_two_wait,                    \
	    lock_and_count_looks, lock_and_count_looks, 3, judge_looks)                            \
	X(a_kill_meets_a_transfer, new_endpoint, call_for_ever, serve, kill_caller, 3, judge_call) \
	X(a_kill_meets_a_transfer_on_one_cpu, new_endpoint, call_for_ever, serve, kill_caller, 1,  \
	    judge_call)                                                                            \
	X(a_time_out_meets_a_reply, new_endpoint, call_with_timeout, serve, NULL, 3, judge_call)   \
	X(an_old_answer_meets_the_next_call, new_endpoint, call_again, answer_both_late, NULL, 3,  \
	    judge_own_answers)                                                                     \
	X(one_of_two_receivers_has_the_call, new_endpoint, receive_first, receive_second,          \
	    call_after_half_of_the_time, 3, judge_one_received)                                    \
	X(answers_and_waits_in_one_step, new_endpoint, serve_four_in_one, ask_twice, ask_twice, 1, \
	    judge_four_answers)                                                                    \
	X(a_kill_meets_an_answer_and_a_wait, new_endpoint, call_for_ever, kill_caller,             \
	    serve_in_one, 1, judge_killed_or_answered)                                             \
	X(a_call_after_an_answered_one_times_out, new_endpoint, answer_the_first_in_time, compute, \
	    call_answered_and_not, 1, judge_first_answered)                                        \
	X(an_endpoint_closes_under_a_call, new_endpoint, call_for_ever, receive_and_drop,          \
	    close_endpoint, 3, judge_closed)                                                       \
	X(two_take_one_capability, new_table, take_0, take_1, look_up, 3, judge_taken)             \
	X(a_sleeper_whose_cpu_goes_is_woken, NULL, wake, cpu_3_is_away, wait_for_flag, 3,          \
	    judge_wait)                                                                            \
	X(a_thread_is_handed_over_and_comes_back, NULL, wake, cpu_3_goes_and_comes, wait_for_flag, \
	    3, judge_wait)                                                                         \
	X(a_cpu_that_goes_hands_its_alarms_over, NULL, flag_silently, cpu_3_is_away,               \
	    wait_with_alarms, 3, judge_wait)                                                       \
	X(an_unbound_sleeper_whose_cpu_goes_is_woken, NULL, wake, cpu_3_is_away, wait_unbound, 3,  \
	    judge_wait)                                                                            \
	X(a_thread_starts_while_a_cpu_goes, NULL, start_another, cpu_3_is_away, NULL, 3,           \
	    judge_wait)                                                                            \
	X(a_wake_up_meets_an_alarm_of_a_cpu_that_goes, NULL, wake_both, cpu_3_goes_and_comes,      \
	    wait_twice_with_an_alarm, 3, judge_both)                                               \
	X(a_receiver_whose_cpu_goes_has_its_message, new_endpoint, call_for_ever,                  \
	    cpu_3_goes_and_comes, serve_for_ever, 3, judge_answered)                               \
	X(a_caller_whose_cpu_goes_has_its_answer, new_endpoint, serve_for_ever,                    \
	    cpu_3_goes_and_comes, call_for_ever, 3, judge_answered)                                \
	X(a_cpu_goes_once_if_two_take_it_down, NULL, cpu_3_goes, cpu_3_goes_too, compute, 3,       \
	    judge_went_once)                                                                       \
	X(two_cpus_take_each_other_down, NULL, cpu_2_goes, cpu_1_goes, compute, 3,                 \
	    judge_both_went)                                                                       \
	X(a_cpu_comes_while_it_goes, NULL, cpu_3_goes, cpu_3_comes, compute, 3, judge_came)        \
	X(the_last_cpu_stays, NULL, all_go_from_0, all_go_from_3, compute, 3, judge_last_stays)

#define X(id, before, a, b, c, c_on, judges)                                                       \
	{.name = #id,                                                                              \
	    .setup = (before),                                                                     \
	    .role = {(a), (b), (c)},                                                               \
	    .third_on = (c_on),                                                                    \
	    .judge = (judges)},
static const struct set sets[] = {SETS};
#undef X

const struct explore_suite thread_suite = {"threads", sets, ARRAY_SIZE(sets)};
