/* SPDX-License-Identifier: MIT */
/* test_ipc_turns.c: the order in which an endpoint's calls are received: families take turns. */
#include "kernel/thread.h"
#include "tests/lib/wait_help.h"
#include <quarry/account.h>
#include <quarry/ipc.h>
#include <quarry/ktest.h>
#include <quarry/task.h>

#define LONG_NS   30000000000ULL
#define MAX_CALLS 10

/* The first task's account; below it the heads of families, and a task of family A. */
enum { FIRST, A, B, C, BELOW_A, NR_ACCOUNTS };

struct caller {
	struct account *account;
	struct ipc_msg msg; /* word 0: its number; the order in which the calls were made */
	bool before_all;
	int result;
	struct thread *thread;
};

static struct {
	struct endpoint *ep;
	struct account account[NR_ACCOUNTS];
	struct caller caller[MAX_CALLS];
	unsigned nr;
} turns;

static void make_call(void *arg)
{
	struct caller *c = arg;
	struct account *before = account_use(c->account);

	c->result = (c->before_all ? ipc_call_first : ipc_call)(turns.ep, &c->msg, LONG_NS);
	account_use(before);
}

/* Queue a call: its thread sleeps only when it has done so. */
static void queue(struct ktest *t, unsigned account, bool before_all)
{
	struct caller *c = &turns.caller[turns.nr];

	*c = (struct caller){.account = &turns.account[account],
	    .msg = {.word = {turns.nr++}},
	    .before_all = before_all};
	c->thread = NEED(t, thread_start("caller", -1, make_call, c));
	EXPECT(t, YIELD_UNTIL(READ_ONCE(c->thread->state) == THREAD_SLEEPING));
}

/* The next call that is received was made as number @nr. */
static void next_is(struct ktest *t, unsigned nr)
{
	struct ipc_call *call;
	struct ipc_msg msg;

	REQUIRE(t, ipc_receive(turns.ep, &msg, &call, 0) == 0);
	EXPECT_EQ(t, msg.word[0], nr);
	EXPECT_EQ(t, ipc_reply(call, &msg), 0);
}

static void turns_begin(struct ktest *t)
{
	static const u8 parent[NR_ACCOUNTS] = {[BELOW_A] = A};
	unsigned i;

	turns.nr = 0;
	turns.ep = NEED(t, endpoint_create());
	for (i = 0; i < NR_ACCOUNTS; i++) {
		turns.account[i] = (struct account){
		    .parent = i == FIRST ? &account_all : &turns.account[parent[i]], .refs = 1};
		memset(turns.account[i].limit, 0xff, sizeof(turns.account[i].limit));
	}
}

static void turns_end(struct ktest *t)
{
	struct ipc_call *call;
	struct ipc_msg msg;
	unsigned i;

	EXPECT_EQ(t, ipc_receive(turns.ep, &msg, &call, 0), -ETIMEDOUT);
	for (i = 0; i < turns.nr; i++) {
		thread_join(turns.caller[i].thread);
		EXPECT_EQ(t, turns.caller[i].result, 0);
	}
	endpoint_put(turns.ep, RIGHT_RECEIVE);
}

KTEST_SUITE(ipc_turns, KTEST_QUICK);

KTEST_INSIDE(a_family_with_many_calls_delays_another_by_one)
{
	unsigned i;

	turns_begin(t);
	for (i = 0; i < 5; i++)
		queue(t, i % 2 ? BELOW_A : A, false);
	queue(t, B, false);
	queue(t, B, false);
	next_is(t, 0);
	next_is(t, 5);
	next_is(t, 1);
	/* A family that comes later stands behind who has the turn now, and not before it. */
	queue(t, C, false);
	queue(t, B, false);
	next_is(t, 6);
	next_is(t, 2);
	next_is(t, 7);
	next_is(t, 8);
	next_is(t, 3);
	next_is(t, 4);
	turns_end(t);
}

KTEST_INSIDE(a_call_before_all_others_changes_no_turn)
{
	turns_begin(t);
	queue(t, A, false);
	queue(t, A, false);
	queue(t, B, false);
	queue(t, A, true);
	queue(t, A, false);
	next_is(t, 3);
	next_is(t, 0);
	next_is(t, 2);
	queue(t, B, true);
	queue(t, B, false);
	queue(t, A, true);
	next_is(t, 5);
	next_is(t, 7);
	next_is(t, 1);
	next_is(t, 6);
	next_is(t, 4);
	turns_end(t);
}
