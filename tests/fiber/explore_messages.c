/* SPDX-License-Identifier: MIT */
/*
 * explore_messages.c: more sets of the suite threads: messages and capabilities.  A thread calls
 * again while its last call, which timed out, is still unanswered; two receivers and one call;
 * receivers that answer and wait in one step; a call after an answered call.
 */
#include "explore_threads.h"
#include <quarry/user.h>

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

static void leave_task(void)
{
	thread_current()->task = NULL;
	spin_lock(&x.task.lock);
	x.ended = 1;
	spin_unlock(&x.task.lock);
}

static void call_for_ever(void)
{
	thread_current()->task = &x.task;
	call(WAIT_FOREVER);
	leave_task();
}

ROLE(call_with_timeout, call(THREADS_TICK_NS));

/* Receive a call, and drop what it gives.  False: no call came. */
static bool receive(struct ipc_msg *msg, struct ipc_call **from, u64 timeout_ns)
{
	x.received = ipc_receive(x.ep, msg, from, timeout_ns);
	if (x.received == 0)
		cap_drop(&msg->give);
	return x.received == 0;
}

static void serve_until(u64 timeout_ns)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	if (!receive(&msg, &from, timeout_ns))
		return;
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

	if (!receive(&msg, &from, 5 * THREADS_TICK_NS))
		return;
	ipc_call_drop(from);
}

static void kill_role(unsigned nr)
{
	store_release(&x.task.ending, (u32)TASK_KILLED);
	/* A thread that has left its task must not be woken. */
	spin_lock(&x.task.lock);
	if (!x.ended)
		thread_wake(x.thread[nr]);
	spin_unlock(&x.task.lock);
}

ROLE(kill_caller, kill_role(0));
ROLE(kill_receiver, kill_role(2));

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

JUDGE_BY(judge_unreceived,
    (endpoint_put(x.ep, 0),
        x.called == -EPIPE ? NULL : "a call that nobody received has not failed"));

static const char *judge_answered(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	return x.called || x.received || x.replied ? "a message was lost with a CPU" : NULL;
}

/* ---- a call after one that timed out ---- */

static void call_again(void)
{
	struct ipc_msg first = {.word = {1}}, second = {.word = {2}};

	/* A thread of a task keeps the record of its calls. */
	thread_current()->task = &x.task;
	x.result[0] = ipc_call(x.ep, &first, THREADS_TICK_NS);
	x.result[1] = ipc_call(x.ep, &second, WAIT_FOREVER);
	if (!x.result[1] && second.word[0] != 2)
		explore_fail("WRONG", "the next call has the old answer");
	thread_current()->task = NULL;
}

static void answer_both_late(void)
{
	struct ipc_call *old, *next;
	struct ipc_msg a, b;

	x.received = ipc_receive(x.ep, &a, &old, WAIT_FOREVER);
	if (a.word[0] == 1) {
		thread_sleep(3 * THREADS_TICK_NS);
		x.received = ipc_receive(x.ep, &b, &next, WAIT_FOREVER);
		x.took[0] = ipc_reply(old, &a);
		x.replied = ipc_reply(next, &b);
	} else {
		/* The first call timed out in the queue. */
		x.took[0] = -EPIPE;
		x.replied = ipc_reply(old, &a);
	}
}

static const char *judge_own_answers(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (x.result[0] != -ETIMEDOUT || x.took[0] != -EPIPE)
		return "a call that timed out has an answer";
	return x.result[1] || x.received || x.replied ? "the next call is not answered" : NULL;
}

/* ---- two receivers ---- */

/*
 * One call comes after half of the receivers' time limit; the receiver that does not get it waits
 * for the other half.
 */
static void receive_for_some_ticks(unsigned nr)
{
	u64 began = arch_clock_ns(), took;
	struct ipc_call *from;
	struct ipc_msg msg;

	x.result[nr] = ipc_receive(x.ep, &msg, &from, 20 * THREADS_TICK_NS);
	took = arch_clock_ns() - began;
	if (x.result[nr] && (took < 20 * THREADS_TICK_NS || took >= 27 * THREADS_TICK_NS))
		explore_fail("WRONG", "a receiver has not waited as long as it said");
	if (x.result[nr])
		return;
	cap_drop(&msg.give);
	x.replied = ipc_reply(from, &msg);
}

ROLE(receive_first, receive_for_some_ticks(0));
ROLE(receive_second, receive_for_some_ticks(1));

static const char *judge_one_received(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	/* The receivers' time may be over before the call comes. */
	if (x.result[0] == -ETIMEDOUT && x.result[1] == -ETIMEDOUT)
		return x.called == -ETIMEDOUT ? NULL : "a call has an answer that nobody gave";
	if (x.result[0] + x.result[1] != -ETIMEDOUT)
		return "not one of two receivers has the call";
	return x.called || x.replied ? "the call was not answered" : NULL;
}

/* ---- answering and waiting in one step ---- */

/* Make two calls; each must be answered by its own word plus 100. */
static void ask_twice(void)
{
	u64 i, word = (uintptr_t)thread_current();

	thread_current()->task = &x.task;
	for (i = 0; i < 2; i++) {
		struct ipc_msg msg = {.word = {word + i}};

		if (ipc_call(x.ep, &msg, WAIT_FOREVER) || msg.word[0] != word + i + 100)
			explore_fail("WRONG", "a call has no answer, or the answer to another");
	}
	ipc_forget(thread_current());
	thread_current()->task = NULL;
}

static void serve_four_in_one(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;
	unsigned i;

	x.received = ipc_receive(x.ep, &msg, &from, WAIT_FOREVER);
	for (i = 0; i < 3; i++) {
		msg.word[0] += 100;
		x.received |= ipc_reply_receive(from, x.ep, &msg, &from, WAIT_FOREVER);
	}
	msg.word[0] += 100;
	x.replied = ipc_reply(from, &msg);
}

static const char *judge_four_answers(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	return x.received || x.replied ? "not all calls were answered" : NULL;
}

/* Answer one call, and receive again in the same step; no second call may come. */
static void answer_and_wait(u64 timeout_ns)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	if (!receive(&msg, &from, 5 * THREADS_TICK_NS))
		return;
	x.result[0] = ipc_reply_receive(from, x.ep, &msg, &from, timeout_ns);
	if (x.result[0] != -ETIMEDOUT || msg.give.kind != CAP_NONE)
		explore_fail("WRONG", "a call that nobody made was received");
}

ROLE(serve_in_one, answer_and_wait(2 * THREADS_TICK_NS));
ROLE(serve_at_once, answer_and_wait(0));

static const char *judge_killed_or_answered(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (x.called != 0 && x.called != -EINTR && x.called != -ETIMEDOUT)
		return "calling failed";
	return !x.called && x.received ? "the caller has an answer that nobody gave" : NULL;
}

/* The receiver, of a task that is killed, answers one call, and waits for the next one. */
static void serve_until_killed(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	thread_current()->task = &x.task;
	if (receive(&msg, &from, WAIT_FOREVER))
		x.replied = ipc_reply_receive(from, x.ep, &msg, &from, WAIT_FOREVER);
	leave_task();
}

static const char *judge_receiver_killed(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (x.called && x.called != -ETIMEDOUT)
		return "calling failed";
	if ((x.received ? x.received : x.replied) != -EINTR)
		return "who was killed has not stopped waiting";
	return !x.called && x.received ? "the caller has an answer that nobody gave" : NULL;
}

/* ---- a fault handler is set while another thread takes it away ---- */

ROLE(set_handler, task_set_handler(&x.task, x.ep));
ROLE(take_handler_away, task_set_handler(&x.task, NULL));

JUDGE_BY(judge_handler, (take_handler_away(), endpoint_put(x.ep, RIGHT_RECEIVE), NULL));

/* The handler's reference is the last. */
ROLE(new_handler, new_endpoint(); set_handler());
ROLE(lose_a_page, thread_current()->task = &x.task; x.called = user_page_lost(0);
     thread_current()->task = NULL);
ROLE(close_handler, endpoint_put(x.ep, RIGHT_RECEIVE); take_handler_away());

JUDGE(judge_lost, x.called == -EHWPOISON, "a handler that nobody has was told");

/* ---- the last reference to an endpoint is that of a call whose caller has left ---- */

ROLE(new_endpoint_of_two, new_endpoint(); endpoint_get(x.ep, 0));
ROLE(call_and_leave, call(THREADS_TICK_NS); endpoint_put(x.ep, 0));

static void drop_as_last(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;
	bool has = receive(&msg, &from, 5 * THREADS_TICK_NS);

	thread_sleep(3 * THREADS_TICK_NS);
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (has)
		ipc_call_drop(from);
}

JUDGE(judge_left, x.called == -ETIMEDOUT || x.called == -EPIPE, "a call has an answer");

/* ---- an answered call, and an unanswered one ---- */

static void call_answered_and_not(void)
{
	struct ipc_msg first = {.word = {1}}, second = {.word = {2}};

	thread_current()->task = &x.task;
	x.result[0] = ipc_call(x.ep, &first, WAIT_FOREVER);
	x.result[1] = ipc_call(x.ep, &second, 2 * THREADS_TICK_NS);
	ipc_forget(thread_current());
	thread_current()->task = NULL;
}

static void answer_the_first_in_time(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, WAIT_FOREVER);
	x.received |= ipc_reply_receive(from, x.ep, &msg, &from, WAIT_FOREVER);
	thread_sleep(5 * THREADS_TICK_NS);
	x.replied = ipc_reply(from, &msg);
}

static const char *judge_first_answered(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (x.result[0] || x.received)
		return "the first call was not answered";
	return x.result[1] != -ETIMEDOUT || x.replied != -EPIPE
	    ? "a call that nobody answered has an answer"
	    : NULL;
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

static const struct set sets[] = {
    X(a_kill_meets_a_transfer, new_endpoint, judge_call,
        .role = {call_for_ever, serve, kill_caller}),
    X(a_kill_meets_a_transfer_on_one_cpu, new_endpoint, judge_call,
        .role = {call_for_ever, serve, kill_caller}, .third_on = 1),
    X(a_time_out_meets_a_reply, new_endpoint, judge_call, .role = {call_with_timeout, serve}),
    X(an_old_answer_meets_the_next_call, new_endpoint, judge_own_answers,
        .role = {call_again, answer_both_late}),
    X(one_of_two_receivers_has_the_call, new_endpoint, judge_one_received,
        .role = {receive_first, receive_second, call_after_half_of_the_time}),
    X(answers_and_waits_in_one_step, new_endpoint, judge_four_answers,
        .role = {serve_four_in_one, ask_twice, ask_twice}, .third_on = 1),
    X(a_kill_meets_an_answer_and_a_wait, new_endpoint, judge_killed_or_answered,
        .role = {call_for_ever, kill_caller, serve_in_one}, .third_on = 1),
    X(a_receiver_is_killed_as_it_answers_and_waits, new_endpoint, judge_receiver_killed,
        .role = {call_with_timeout, kill_receiver, serve_until_killed}, .third_on = 1),
    X(a_call_is_dropped_with_its_endpoint, new_endpoint_of_two, judge_left,
        .role = {call_and_leave, drop_as_last}),
    X(a_handler_goes_as_it_is_told, new_handler, judge_lost, .role = {lose_a_page, close_handler}),
    X(a_handler_is_taken_away_as_it_is_set, new_endpoint, judge_handler,
        .role = {set_handler, take_handler_away}),
    X(a_time_out_meets_an_answer_that_does_not_wait, new_endpoint, judge_killed_or_answered,
        .role = {call_with_timeout, serve_at_once}),
    X(a_time_out_meets_an_answer_and_a_wait, new_endpoint, judge_killed_or_answered,
        .role = {call_with_timeout, serve_in_one}),
    X(a_call_after_an_answered_one_times_out, new_endpoint, judge_first_answered,
        .role = {answer_the_first_in_time, compute, call_answered_and_not}, .third_on = 1),
    X(an_endpoint_closes_under_a_call, new_endpoint, judge_closed,
        .role = {call_for_ever, receive_and_drop, close_endpoint}),
    X(an_endpoint_closes_as_it_is_called, new_endpoint, judge_unreceived,
        .role = {call_for_ever, close_endpoint}),
    X(two_take_one_capability, new_table, judge_taken, .role = {take_0, take_1, look_up}),
    X(a_receiver_whose_cpu_goes_has_its_message, new_endpoint, judge_answered,
        .role = {call_for_ever, cpu_3_goes_and_comes, serve_for_ever}),
    X(a_caller_whose_cpu_goes_has_its_answer, new_endpoint, judge_answered,
        .role = {serve_for_ever, cpu_3_goes_and_comes, call_for_ever}),
};

const struct explore_suite message_sets = {"threads", sets, ARRAY_SIZE(sets), NULL};
