/* SPDX-License-Identifier: MIT */
/* test_ipc.c: messages between threads of the kernel; and the table of capabilities. */
#include "tests/lib/wait_help.h"
#include <quarry/errno.h>
#include <quarry/ipc.h>
#include <quarry/ktest.h>
#include <quarry/task.h>
#include <quarry/vm.h>

#define MS      1000000ULL
#define LONG_NS (30000 * MS)

/* One call made by another thread. */
struct caller {
	struct endpoint *ep;
	struct ipc_msg msg;
	u64 timeout;
	u32 started; /* atomic */
	int result;
	struct thread *thread;
};

static void make_call(void *arg)
{
	struct caller *c = arg;

	WRITE_ONCE(c->started, 1u);
	c->result = ipc_call(c->ep, &c->msg, c->timeout);
}

static void start_call(
    struct ktest *t, struct caller *c, struct endpoint *ep, u64 word, u64 timeout)
{
	*c = (struct caller){.ep = ep, .msg = {.word = {word}}, .timeout = timeout};
	c->thread = thread_start("caller", -1, make_call, c);
	REQUIRE(t, c->thread);
}

static int end_call(struct caller *c)
{
	thread_join(c->thread);
	return c->result;
}

KTEST_SUITE(ipc, KTEST_QUICK);

KTEST(call_is_answered)
{
	struct endpoint *ep = NEED(t, endpoint_create());
	struct ipc_call *call;
	struct ipc_msg msg;
	struct caller c;
	u64 i;

	for (i = 1; i <= 20; i++) {
		start_call(t, &c, ep, i, LONG_NS);
		REQUIRE(t, ipc_receive(ep, &msg, &call, LONG_NS) == 0);
		EXPECT_EQ(t, msg.word[0], i);
		EXPECT_EQ(t, msg.give.kind, CAP_NONE);
		msg.word[0] *= 3;
		msg.word[3] = 7;
		EXPECT_EQ(t, ipc_reply(call, &msg), 0);
		EXPECT_EQ(t, end_call(&c), 0);
		EXPECT_EQ(t, c.msg.word[0], 3 * i);
		EXPECT_EQ(t, c.msg.word[3], 7);
	}
	endpoint_put(ep, RIGHT_RECEIVE);
}

KTEST(calls_come_in_order)
{
	struct endpoint *ep = NEED(t, endpoint_create());
	struct ipc_call *call[4];
	struct caller c[4];
	struct ipc_msg msg;
	unsigned i;

	for (i = 0; i < 4; i++) {
		start_call(t, &c[i], ep, i, LONG_NS);
		/* Wait until the call is queued before the next one starts. */
		REQUIRE(t, ipc_receive(ep, &msg, &call[i], LONG_NS) == 0);
		EXPECT_EQ(t, msg.word[0], i);
	}
	/* Answers need not keep the order of the calls. */
	for (i = 4; i-- > 0;) {
		msg = (struct ipc_msg){.word = {100 + i}};
		EXPECT_EQ(t, ipc_reply(call[i], &msg), 0);
		EXPECT_EQ(t, end_call(&c[i]), 0);
		EXPECT_EQ(t, c[i].msg.word[0], 100 + i);
	}
	endpoint_put(ep, RIGHT_RECEIVE);
}

KTEST(waits_are_bounded, KTEST_SLOW)
{
	struct endpoint *ep = NEED(t, endpoint_create());
	struct ipc_msg msg = {.word = {1}};
	struct ipc_call *call;
	struct caller c;

	EXPECT_EQ(t, ipc_receive(ep, &msg, &call, 0), -ETIMEDOUT);
	EXPECT_EQ(t, ipc_receive(ep, &msg, &call, 5 * MS), -ETIMEDOUT);
	EXPECT_EQ(t, ipc_call(ep, &msg, 0), -ETIMEDOUT);
	EXPECT_EQ(t, ipc_call(ep, &msg, 5 * MS), -ETIMEDOUT);
	/* The call that timed out is not received later. */
	EXPECT_EQ(t, ipc_receive(ep, &msg, &call, 0), -ETIMEDOUT);
	/* A call was received, but is answered after its time limit: the answer is dropped. */
	start_call(t, &c, ep, 5, 50 * MS);
	REQUIRE(t, ipc_receive(ep, &msg, &call, LONG_NS) == 0);
	EXPECT_EQ(t, end_call(&c), -ETIMEDOUT);
	EXPECT_EQ(t, ipc_reply(call, &msg), -EPIPE);
	endpoint_put(ep, RIGHT_RECEIVE);
}

KTEST(call_without_a_receiver_fails)
{
	struct endpoint *ep = NEED(t, endpoint_create());
	struct caller queued, taken;
	struct ipc_msg msg;
	struct ipc_call *call;

	endpoint_get(ep, RIGHT_SEND);
	start_call(t, &taken, ep, 1, LONG_NS);
	REQUIRE(t, ipc_receive(ep, &msg, &call, LONG_NS) == 0);
	start_call(t, &queued, ep, 2, LONG_NS);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(queued.started)));
	/* The received call is dropped without an answer. */
	ipc_call_drop(call);
	EXPECT_EQ(t, end_call(&taken), -EPIPE);
	/* The last receiver exits, with the call on the queue or about to be queued. */
	endpoint_put(ep, RIGHT_RECEIVE);
	EXPECT_EQ(t, end_call(&queued), -EPIPE);
	EXPECT_EQ(t, ipc_call(ep, &msg, LONG_NS), -EPIPE);
	endpoint_put(ep, RIGHT_SEND);
}

/* An answer goes to its own caller, and the same step receives the next call. */
KTEST(answer_and_wait_in_one_step, KTEST_SLOW)
{
	struct endpoint *ep = endpoint_create(), *other = endpoint_create();
	struct ipc_call *call;
	struct ipc_msg msg;
	struct caller c[3];
	unsigned i;

	REQUIRE(t, ep && other);
	for (i = 0; i < 3; i++) {
		start_call(t, &c[i], ep, 10 * i, LONG_NS);
		if (i == 0)
			REQUIRE(t, ipc_receive(ep, &msg, &call, LONG_NS) == 0);
		else
			REQUIRE(t, ipc_reply_receive(call, ep, &msg, &call, LONG_NS) == 0);
		EXPECT_EQ(t, msg.word[0], 10 * i);
		msg.word[0]++;
		if (i > 0) {
			EXPECT_EQ(t, end_call(&c[i - 1]), 0);
			EXPECT_EQ(t, c[i - 1].msg.word[0], 10 * i - 9);
		}
	}
	/* No other call arrives, at neither endpoint; the answer is delivered all the same. */
	EXPECT_EQ(t, ipc_reply_receive(call, ep, &msg, &call, MS), -ETIMEDOUT);
	EXPECT_EQ(t, end_call(&c[2]), 0);
	EXPECT_EQ(t, c[2].msg.word[0], 21);
	start_call(t, &c[0], ep, 30, LONG_NS);
	REQUIRE(t, ipc_receive(ep, &msg, &call, LONG_NS) == 0);
	EXPECT_EQ(t, ipc_reply_receive(call, other, &msg, &call, 0), -ETIMEDOUT);
	EXPECT_EQ(t, end_call(&c[0]), 0);
	/* If the caller has timed out, the receiver still gets the next call. */
	start_call(t, &c[0], ep, 40, MS);
	REQUIRE(t, ipc_receive(ep, &msg, &call, LONG_NS) == 0);
	EXPECT_EQ(t, end_call(&c[0]), -ETIMEDOUT);
	start_call(t, &c[1], ep, 50, LONG_NS);
	EXPECT_EQ(t, ipc_reply_receive(call, ep, &msg, &call, LONG_NS), 0);
	EXPECT_EQ(t, msg.word[0], 50);
	EXPECT_EQ(t, ipc_reply(call, &msg), 0);
	EXPECT_EQ(t, end_call(&c[1]), 0);
	endpoint_put(ep, RIGHT_RECEIVE);
	endpoint_put(other, RIGHT_RECEIVE);
}

/* ---- capabilities in messages ---- */

static struct vm_object *new_object(struct ktest *t)
{
	struct vm_object *object = NULL;

	EXPECT_EQ(t, vm_object_create(&kernel_memory, OBJ_ANON, 1, NULL, NULL, &object), 0);
	return object;
}

KTEST(capabilities_change_hands)
{
	struct endpoint *ep = endpoint_create();
	struct vm_object *object = new_object(t);
	struct ipc_call *call;
	struct ipc_msg msg;
	struct caller c;

	REQUIRE(t, ep && object);
	c = (struct caller){.ep = ep, .timeout = LONG_NS};
	c.msg.give = (struct cap){object, RIGHT_READ, CAP_OBJECT};
	vm_object_get(object);
	c.thread = thread_start("caller", -1, make_call, &c);
	REQUIRE(t, c.thread);
	REQUIRE(t, ipc_receive(ep, &msg, &call, LONG_NS) == 0);
	EXPECT(t,
	    msg.give.kind == CAP_OBJECT && msg.give.object == object &&
	        msg.give.rights == RIGHT_READ);
	EXPECT_EQ(t, READ_ONCE(object->refs), 2);
	EXPECT_EQ(t, ipc_reply(call, &msg), 0); /* the capability goes back */
	EXPECT_EQ(t, end_call(&c), 0);
	EXPECT(t, c.msg.give.object == object);
	cap_drop(&c.msg.give);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1);

	/*
	 * A capability in a message is not leaked, whether the message is refused or there is no
	 * receiver.
	 */
	msg.give = (struct cap){object, RIGHT_READ, CAP_OBJECT};
	cap_get(&msg.give);
	EXPECT_EQ(t, ipc_call(ep, &msg, MS), -ETIMEDOUT);
	EXPECT_EQ(t, msg.give.kind, CAP_NONE);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1);
	endpoint_get(ep, RIGHT_SEND);
	endpoint_put(ep, RIGHT_RECEIVE);
	msg.give = (struct cap){object, RIGHT_READ, CAP_OBJECT};
	cap_get(&msg.give);
	EXPECT_EQ(t, ipc_call(ep, &msg, MS), -EPIPE);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1);
	endpoint_put(ep, RIGHT_SEND);
	vm_object_put(object);
}

/* ---- the table ---- */

KTEST(handle_is_valid_in_its_own_table_only)
{
	struct vm_object *object = new_object(t);
	struct cap cap = {object, RIGHT_READ | RIGHT_DUP, CAP_OBJECT}, out;
	struct cap_table a, b;
	s64 handle, again;
	unsigned i;

	REQUIRE(t, object && cap_table_init(&a) == 0 && cap_table_init(&b) == 0);
	cap_get(&cap);
	handle = cap_install(&a, &cap);
	REQUIRE(t, handle > 0);
	EXPECT_EQ(t, cap_lookup(&a, (u64)handle, CAP_OBJECT, RIGHT_READ, &out), 0);
	EXPECT_EQ(t, READ_ONCE(object->refs), 3);
	cap_drop(&out);
	EXPECT_EQ(t, cap_lookup(&b, (u64)handle, CAP_OBJECT, 0, &out), -EBADF);
	EXPECT_EQ(t, cap_lookup(&a, (u64)handle, CAP_TASK, 0, &out), -EINVAL);
	EXPECT_EQ(t, cap_lookup(&a, (u64)handle, CAP_OBJECT, RIGHT_WRITE, &out), -EACCES);
	EXPECT_EQ(
	    t, cap_lookup(&a, (u64)handle, CAP_OBJECT, RIGHT_READ | RIGHT_WRITE, &out), -EACCES);
	EXPECT_EQ(t, out.kind, CAP_NONE);
	/*
	 * A handle with one bit changed is invalid: it names another slot or generation, or is too
	 * large.
	 */
	for (i = 0; i < 64; i++)
		EXPECT_EQ(t, cap_lookup(&a, (u64)handle ^ 1UL << i, CAP_NONE, 0, &out), -EBADF);
	EXPECT_EQ(t, cap_lookup(&a, 0, CAP_NONE, 0, &out), -EBADF);
	EXPECT_EQ(t, cap_take(&a, (u64)handle, CAP_NONE, &out), 0);
	EXPECT_EQ(t, cap_take(&a, (u64)handle, CAP_NONE, &cap), -EBADF);
	/* The slot is used again: the old handle stays invalid. */
	again = cap_install(&a, &out);
	EXPECT(t, again > 0 && again != handle);
	EXPECT_EQ(t, again % ABI_MAX_HANDLES, handle % ABI_MAX_HANDLES);
	EXPECT_EQ(t, cap_lookup(&a, (u64)handle, CAP_NONE, 0, &out), -EBADF);
	cap_table_destroy(&a);
	cap_table_destroy(&b);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1);
	vm_object_put(object);
}

/* A slot is not used after its last generation: its first handle would be valid again. */
KTEST(exhausted_slot_is_retired)
{
	struct vm_object *object = new_object(t);
	struct cap cap = {object, RIGHT_READ, CAP_OBJECT}, out;
	struct cap_table table;
	s64 first, last, other;
	unsigned slot;

	REQUIRE(t, object && cap_table_init(&table) == 0);
	cap_get(&cap);
	first = cap_install(&table, &cap);
	slot = (unsigned)(first % ABI_MAX_HANDLES);
	EXPECT_EQ(t, cap_take(&table, (u64)first, CAP_NONE, &cap), 0);
	table.slot[slot].generation = CAP_GENERATIONS - 1;
	last = cap_install(&table, &cap);
	EXPECT(t, last > 0);
	EXPECT_EQ(t, last % ABI_MAX_HANDLES, slot);
	EXPECT_EQ(t, cap_take(&table, (u64)last, CAP_NONE, &cap), 0);
	EXPECT_EQ(t, table.nr_used, 0);
	other = cap_install(&table, &cap);
	EXPECT(t, other > 0);
	EXPECT(t, other % ABI_MAX_HANDLES != slot);
	EXPECT_EQ(t, cap_lookup(&table, (u64)first, CAP_NONE, 0, &out), -EBADF);
	EXPECT_EQ(t, cap_lookup(&table, (u64)last, CAP_NONE, 0, &out), -EBADF);
	EXPECT_EQ(t, cap_lookup(&table, (u64)last + ABI_MAX_HANDLES, CAP_NONE, 0, &out), -EBADF);
	EXPECT_EQ(t, cap_lookup(&table, slot, CAP_NONE, 0, &out), -EBADF);
	cap_table_destroy(&table);
	vm_object_put(object);
}

/* A task that has used up all slots gets no more handles; it ends as any other task. */
KTEST(table_of_retired_slots_is_full)
{
	struct cap cap = {.kind = CAP_PROGRAMS, .rights = RIGHT_EXEC}, none = {.kind = CAP_NONE};
	struct cap_table table;
	unsigned i;

	REQUIRE(t, cap_table_init(&table) == 0);
	for (i = 0; i < ABI_MAX_HANDLES; i++) {
		s64 handle;

		table.slot[i].generation = CAP_GENERATIONS - 1;
		handle = i % 2 ? cap_reserve(&table) : cap_install(&table, &cap);
		REQUIRE(t, handle > 0);
		if (i % 2)
			cap_fill(&table, handle, &none);
		else
			EXPECT_EQ(t, cap_take(&table, (u64)handle, CAP_NONE, &cap), 0);
	}
	EXPECT_EQ(t, cap_install(&table, &cap), -EMFILE);
	EXPECT_EQ(t, cap_reserve(&table), -EMFILE);
	EXPECT_EQ(t, table.nr_used, 0);
	cap_table_destroy(&table);
}

/*
 * The slot of the answered call is freed and reserved again, with another handle; on an error
 * nothing changes.
 */
KTEST(answering_and_reserving_takes_both_or_nothing)
{
	struct cap cap = {.kind = CAP_PROGRAMS, .rights = RIGHT_EXEC}, reply = {.kind = CAP_REPLY};
	struct cap_table table;
	struct cap out, call;
	s64 from, other, slot[2];
	unsigned i;

	REQUIRE(t, cap_table_init(&table) == 0);
	from = cap_install(&table, &reply);
	other = cap_install(&table, &cap);
	REQUIRE(t, from > 0 && other > 0);
#define TAKE(reply, handle, kind, rights)                                                          \
	cap_take_and_reserve(&table, (u64)(reply), (u64)(handle), kind, rights, &call, &out, slot)
	EXPECT_EQ(t, TAKE(other, other, CAP_PROGRAMS, RIGHT_EXEC), -EINVAL);
	EXPECT_EQ(t, TAKE(from + ABI_MAX_HANDLES, other, CAP_PROGRAMS, RIGHT_EXEC), -EBADF);
	EXPECT_EQ(t, TAKE(from, other, CAP_ENDPOINT, 0), -EINVAL);
	EXPECT_EQ(t, TAKE(from, other, CAP_PROGRAMS, RIGHT_SEND), -EACCES);
	EXPECT_EQ(t, table.nr_used, 2);
	EXPECT_EQ(t, TAKE(from, other, CAP_PROGRAMS, RIGHT_EXEC), 0);
	EXPECT(t, call.kind == CAP_REPLY && out.kind == CAP_PROGRAMS);
	EXPECT_EQ(t, table.nr_used, 3);
	EXPECT_EQ(t, slot[0] % ABI_MAX_HANDLES, from % ABI_MAX_HANDLES);
	EXPECT(t, slot[0] != from && slot[1] % ABI_MAX_HANDLES != slot[0] % ABI_MAX_HANDLES);
	EXPECT_EQ(t, cap_take(&table, (u64)from, CAP_REPLY, &call), -EBADF);
	cap_fill_two(&table, slot, &reply, &cap);
	/* First no other slot is free. Then the slot is retired after its last generation. */
	for (i = 3; i < ABI_MAX_HANDLES; i++)
		EXPECT(t, cap_install(&table, &cap) > 0);
	EXPECT_EQ(t, TAKE(slot[0], other, CAP_PROGRAMS, RIGHT_EXEC), -EMFILE);
	EXPECT(t, call.kind == CAP_NONE && out.kind == CAP_NONE);
	EXPECT_EQ(t, cap_take(&table, (u64)slot[0], CAP_REPLY, &call), 0);
	table.slot[from % ABI_MAX_HANDLES].generation = CAP_GENERATIONS - 1;
	from = cap_install(&table, &reply);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(t, TAKE(from, other, CAP_PROGRAMS, RIGHT_EXEC), -EMFILE);
		cap = table.slot[200 + i].cap;
		EXPECT_EQ(t,
		    cap_take(&table,
		        (u64)(table.slot[200 + i].generation << CAP_INDEX_BITS | (200 + i)),
		        CAP_NONE, &cap),
		    0);
	}
	EXPECT_EQ(t, TAKE(from, other, CAP_PROGRAMS, RIGHT_EXEC), 0);
	EXPECT_EQ(t, table.slot[from % ABI_MAX_HANDLES].cap.kind, CAP_RETIRED);
	EXPECT_EQ(t, table.nr_used, ABI_MAX_HANDLES - 1);
#undef TAKE
	cap = (struct cap){.kind = CAP_NONE};
	cap_fill_two(&table, slot, &cap, &cap);
	cap_table_destroy(&table);
}

KTEST(full_handle_table_refuses)
{
	struct vm_object *object = new_object(t);
	struct cap cap = {object, RIGHT_READ, CAP_OBJECT}, none = {.kind = CAP_NONE};
	struct cap_table table;
	s64 reserved;
	unsigned i;

	REQUIRE(t, object && cap_table_init(&table) == 0);
	reserved = cap_reserve(&table);
	REQUIRE(t, reserved > 0);
	EXPECT_EQ(t, cap_lookup(&table, (u64)reserved, CAP_NONE, 0, &cap), -EBADF);
	for (i = 1; i < ABI_MAX_HANDLES; i++) {
		cap = (struct cap){object, RIGHT_READ, CAP_OBJECT};
		cap_get(&cap);
		EXPECT(t, cap_install(&table, &cap) > 0);
	}
	EXPECT_EQ(t, cap_install(&table, &cap), -EMFILE);
	EXPECT_EQ(t, cap_reserve(&table), -EMFILE);
	EXPECT_EQ(t, table.nr_used, ABI_MAX_HANDLES);
	cap_fill(&table, reserved, &none);
	reserved = cap_reserve(&table);
	EXPECT(t, reserved > 0);
	cap_get(&cap);
	cap_fill(&table, reserved, &cap);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1 + ABI_MAX_HANDLES);
	EXPECT_EQ(t, cap_lookup(&table, (u64)reserved, CAP_OBJECT, RIGHT_READ, &cap), 0);
	cap_drop(&cap);
	cap_table_destroy(&table);
	EXPECT_EQ(t, cap_install(&table, &none), -EMFILE);
	EXPECT_EQ(t, READ_ONCE(object->refs), 1);
	vm_object_put(object);
}

/* ---- many at once ---- */

#define NR_CALLERS 6
#define NR_CALLS   200
#define NR_REFS    100000 /* of each caller: so many that callers on other CPUs take theirs too */

struct crowd {
	struct endpoint *ep;
	u64 sum; /* atomic: of the answers */
	u32 bad; /* atomic */
};

static void crowd_call(void *arg)
{
	struct crowd *crowd = arg;
	unsigned i;

	for (i = 0; i < NR_REFS; i++, endpoint_put(crowd->ep, 0))
		endpoint_get(crowd->ep, 0);
	for (i = 0; i < NR_CALLS; i++) {
		struct ipc_msg msg = {.word = {i}};

		if (ipc_call(crowd->ep, &msg, LONG_NS) || msg.word[0] != i + 1)
			counter_add(&crowd->bad, 1u);
		counter_add(&crowd->sum, msg.word[0]);
	}
}

static void crowd_serve(void *arg)
{
	struct crowd *crowd = arg;
	struct ipc_call *call;
	struct ipc_msg msg;

	while (!ipc_receive(crowd->ep, &msg, &call, LONG_NS)) {
		bool last = msg.word[0] == ~0UL;

		msg.word[0]++;
		if (ipc_reply(call, &msg))
			counter_add(&crowd->bad, 1u);
		if (last)
			return;
	}
	counter_add(&crowd->bad, 1u);
}

KTEST(many_callers_and_servers, KTEST_SLOW)
{
	struct thread *caller[NR_CALLERS], *server[2];
	struct crowd crowd = {.ep = endpoint_create()};
	struct ipc_msg msg;
	unsigned i;

	REQUIRE(t, crowd.ep);
	for (i = 0; i < 2; i++)
		REQUIRE(t, (server[i] = thread_start("server", -1, crowd_serve, &crowd)));
	for (i = 0; i < NR_CALLERS; i++)
		REQUIRE(t, (caller[i] = thread_start("caller", -1, crowd_call, &crowd)));
	for (i = 0; i < NR_CALLERS; i++)
		thread_join(caller[i]);
	for (i = 0; i < 2; i++) {
		msg = (struct ipc_msg){.word = {~0UL}};
		EXPECT_EQ(t, ipc_call(crowd.ep, &msg, LONG_NS), 0);
	}
	for (i = 0; i < 2; i++)
		thread_join(server[i]);
	EXPECT_EQ(t, crowd.bad, 0);
	EXPECT_EQ(t, crowd.sum, NR_CALLERS * (NR_CALLS * (NR_CALLS + 1UL) / 2));
	endpoint_put(crowd.ep, RIGHT_RECEIVE);
}
