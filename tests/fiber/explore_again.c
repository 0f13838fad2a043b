/* SPDX-License-Identifier: MIT */
/*
 * explore_again.c: more roles for sets of messages: a thread that calls again while its last call,
 * which timed out, is still unanswered; two receivers and one call; receivers that answer and wait
 * in one step; a call after an answered call.
 */
#include "explore_threads.h"

void call_again(void)
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

void answer_both_late(void)
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

const char *judge_own_answers(void)
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

void receive_first(void)
{
	receive_for_some_ticks(0);
}

void receive_second(void)
{
	receive_for_some_ticks(1);
}

const char *judge_one_received(void)
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
void ask_twice(void)
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

void serve_four_in_one(void)
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

const char *judge_four_answers(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	return x.received || x.replied ? "not all calls were answered" : NULL;
}

/* Answer one call, and receive again in the same step; no second call may come. */
void serve_in_one(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, 5 * THREADS_TICK_NS);
	if (x.received)
		return;
	cap_drop(&msg.give);
	x.result[0] = ipc_reply_receive(from, x.ep, &msg, &from, 2 * THREADS_TICK_NS);
	if (x.result[0] != -ETIMEDOUT || msg.give.kind != CAP_NONE)
		explore_fail("WRONG", "a call that nobody made was received");
}

const char *judge_killed_or_answered(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (x.called != 0 && x.called != -EINTR)
		return "calling failed";
	return !x.called && x.received ? "the caller has an answer that nobody gave" : NULL;
}

/* ---- an answered call, and an unanswered one ---- */

void call_answered_and_not(void)
{
	struct ipc_msg first = {.word = {1}}, second = {.word = {2}};

	thread_current()->task = &x.task;
	x.result[0] = ipc_call(x.ep, &first, WAIT_FOREVER);
	x.result[1] = ipc_call(x.ep, &second, 2 * THREADS_TICK_NS);
	ipc_forget(thread_current());
	thread_current()->task = NULL;
}

void answer_the_first_in_time(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	x.received = ipc_receive(x.ep, &msg, &from, WAIT_FOREVER);
	x.received |= ipc_reply_receive(from, x.ep, &msg, &from, WAIT_FOREVER);
	thread_sleep(5 * THREADS_TICK_NS);
	x.replied = ipc_reply(from, &msg);
}

const char *judge_first_answered(void)
{
	endpoint_put(x.ep, RIGHT_RECEIVE);
	if (x.result[0] || x.received)
		return "the first call was not answered";
	return x.result[1] != -ETIMEDOUT || x.replied != -EPIPE
	    ? "a call that nobody answered has an answer"
	    : NULL;
}
