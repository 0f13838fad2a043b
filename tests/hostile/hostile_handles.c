/* SPDX-License-Identifier: MIT */
/*
 * hostile_handles.c: numbers that are not handles, or are closed handles; missing rights; handles
 * that are lost in a message.
 */
#include "tests/hostile/hostile.h"

#define SHORT NS_PER_MS

/* Require that the number is invalid in every call. */
static void expect_dead(u64 handle)
{
	struct message m = {.word = {0}};
	int status;

	WANT(info(INFO_RIGHTS, handle), -EBADF);
	WANT(handle_dup(handle, 0), -EBADF);
	WANT(map(handle, (void *)0x10000, 1, 0, ABI_READ), -EBADF);
	WANT(call(handle, &m, 0), -EBADF);
	WANT(receive(handle, &m, 0), -EBADF);
	WANT(reply(handle, &m), -EBADF);
	WANT(task_wait(handle, 0, &status), -EBADF);
	WANT(task_kill(handle), -EBADF);
	WANT(handle_close(handle), -EBADF);
}

/* ---- numbers ---- */

static void closed_number_stays_dead(void)
{
	u64 first = (u64)object_create(1), i;
	s64 other = 0;

	WANT(handle_close(first), 0);
	expect_dead(first);
	for (i = 0; i < 20000; i++) {
		other = object_create(1);
		if (other <= 0 || (u64)other == first || info(INFO_RIGHTS, first) != -EBADF)
			break;
		handle_close((u64)other);
	}
	WANT(i, 20000);
	expect_dead(first);
}

static void neighbours_of_a_number_are_dead(void)
{
	u64 handle = (u64)object_create(1), i;

	for (i = 0; i < 64; i++) {
		if ((handle ^ 1UL << i) != programs)
			expect_dead(handle ^ 1UL << i);
	}
	WANT(info(INFO_RIGHTS, handle) > 0, true);
}

static void numbers_that_are_tried_are_dead(void)
{
	u64 random = seed + 1, i, n;

	for (i = 0; i < 20000; i++) {
		n = next_random(&random) >> (i % 63);
		if (n != programs)
			WANT(info(INFO_RIGHTS, n), -EBADF);
	}
	for (n = 0; n < 4096; n++) {
		if (n != programs)
			WANT(info(INFO_RIGHTS, n), -EBADF);
	}
}

/*
 * The task has one handle or none.  If @stolen is the number of this handle, it is valid here.
 */
static int uses_numbers_of_its_parent(u64 handle, u64 stolen)
{
	if (stolen != handle)
		expect_dead(stolen);
	return 0;
}

static void number_of_another_task_is_dead(void)
{
	s64 object[40];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(object); i++)
		object[i] = object_create(1);
	hostile_expect(uses_numbers_of_its_parent, programs, (u64)object[0], TASK_EXITED, 0);
	hostile_expect(uses_numbers_of_its_parent, 0, (u64)object[39], TASK_EXITED, 0);
}

static void full_table_refuses_and_recovers(void)
{
	struct message m = {.word = {0}};
	s64 handle[ABI_MAX_HANDLES - 2], endpoint = endpoint_create();
	const unsigned nr = ARRAY_SIZE(handle);
	unsigned i;

	for (i = 0; i < nr; i++) {
		handle[i] = handle_dup((u64)endpoint, RIGHT_SEND);
		WANT(handle[i] > 0, true);
	}
	WANT(handle_dup((u64)endpoint, RIGHT_SEND), -EMFILE);
	WANT(object_create(1), -EMFILE);
	WANT(endpoint_create(), -EMFILE);
	WANT(receive((u64)endpoint, &m, 0), -EMFILE);
	WANT(task_create(programs, "hello", 0, 0, 0), -EMFILE);
	for (i = 0; i < nr; i++)
		WANT(handle_close((u64)handle[i]), 0);
	WANT(info(INFO_HANDLES, 0), 2);
}

/* ---- rights ---- */

static void right_is_not_won_by_duplicating(void)
{
	s64 object = object_create(1), ro = handle_dup((u64)object, RIGHT_READ | RIGHT_DUP), again;
	unsigned right;

	for (right = 1; right <= RIGHTS_ALL; right <<= 1) {
		if (right & (RIGHT_READ | RIGHT_DUP))
			continue;
		WANT(handle_dup((u64)ro, right), -EACCES);
		WANT(handle_dup((u64)ro, right | RIGHT_READ), -EACCES);
	}
	WANT(handle_dup((u64)ro, RIGHTS_ALL + 1), -EINVAL);
	WANT(handle_dup((u64)ro, ~0u), -EINVAL);
	again = handle_dup((u64)ro, RIGHT_READ);
	WANT(handle_dup((u64)again, RIGHT_READ), -EACCES);
	WANT(map((u64)ro, (void *)0x10000, 1, 0, ABI_READ | ABI_WRITE), -EACCES);
}

static void call_and_wait(u64 endpoint)
{
	struct message m = {.word = {1}};

	call(endpoint, &m, HOSTILE_NS);
}

static void reply_is_used_once(void)
{
	static struct thread caller;
	struct message m = {.word = {0}};
	s64 endpoint = endpoint_create(), from;

	WANT(thread_start(&caller, call_and_wait, (u64)endpoint), 0);
	from = receive((u64)endpoint, &m, HOSTILE_NS);
	WANT(from > 0, true);
	WANT(handle_dup((u64)from, 0), -EACCES);
	WANT(handle_dup((u64)from, RIGHT_SEND), -EACCES);
	m.handle = (u64)from; /* given away in its own answer */
	WANT(reply((u64)from, &m), -EACCES);
	WANT(task_create(programs, "hello", (u64)from, 0, 0), -EACCES);
	m.handle = 0;
	WANT(reply((u64)from, &m), 0);
	WANT(reply((u64)from, &m), -EBADF);
	expect_dead((u64)from);
	thread_join(&caller);
}

/* ---- in messages ---- */

/* Send messages with handles to an endpoint without a receiving thread. */
static void given_handle_is_not_lost(void)
{
	s64 endpoint = endpoint_create(), object = object_create(1), before = info(INFO_HANDLES, 0);
	struct message m = {.word = {0}};
	int i;

	for (i = 0; i < 50; i++) {
		m.handle = (u64)object;
		WANT(call((u64)endpoint, &m, i % 2 ? SHORT : 0), -ETIMEDOUT);
	}
	WANT(info(INFO_HANDLES, 0), before);
	WANT(info(INFO_RIGHTS, (u64)object) > 0, true);
}

/* The only handle with the right to receive is in a message queued at its own endpoint. */
static void endpoint_in_its_own_queue_goes(void)
{
	s64 endpoint = endpoint_create();
	struct message m = {.word = {0}, .handle = (u64)endpoint};

	WANT(call((u64)endpoint, &m, SHORT), -ETIMEDOUT);
	WANT(handle_close((u64)endpoint), 0);
	WANT(call((u64)endpoint, &m, 0), -EBADF);
}

static int gives_itself_away(u64 endpoint, u64 arg)
{
	s64 own = endpoint_create();
	struct message m = {.word = {0}, .handle = (u64)own};

	call(endpoint, &m, HOSTILE_NS);
	return 1; /* the task is killed in the call */
}

static void killed_caller_takes_its_message_along(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP),
	    task;
	struct message m;
	int status;

	task = hostile_start(gives_itself_away, (u64)send, 0);
	WANT(task_wait((u64)task, 20 * SHORT, &status), -ETIMEDOUT);
	WANT(task_kill((u64)task), 0);
	WANT(hostile_end(task, &status), TASK_KILLED);
	WANT(receive((u64)endpoint, &m, 0), -ETIMEDOUT);
}

/* ---- at the same time ---- */

static u64 contested;
static u32 stop;

static void close_it(u64 arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		s64 ret = handle_close(__atomic_load_n(&contested, __ATOMIC_RELAXED));

		if (ret && ret != -EBADF)
			WANT(ret, 0);
	}
}

/*
 * This thread makes handles; this and two other threads try to close each handle.  Every handle is
 * closed once.
 */
static void handle_is_closed_once(void)
{
	static struct thread threads[2];
	u64 i, spare = 0;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		WANT(thread_start(&threads[i], close_it, 0), 0);
	for (i = 0; i < 3000; i++) {
		s64 object = object_create(1);

		if (object < 0)
			break;
		__atomic_store_n(&contested, (u64)object, __ATOMIC_RELAXED);
		if (i % 8 == 0)
			yield();
		spare += handle_close((u64)object) == 0;
	}
	WANT(i, 3000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		thread_join(&threads[i]);
	WANT(spare <= 3000, true);
	WANT(info(INFO_HANDLES, 0), 1);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(closed_number_stays_dead),
    ENDS_WELL(neighbours_of_a_number_are_dead),
    ENDS_WELL(numbers_that_are_tried_are_dead),
    ENDS_WELL(number_of_another_task_is_dead),
    ENDS_WELL(full_table_refuses_and_recovers),
    ENDS_WELL(right_is_not_won_by_duplicating),
    ENDS_WELL(reply_is_used_once),
    ENDS_WELL(given_handle_is_not_lost),
    ENDS_WELL(endpoint_in_its_own_queue_goes),
    ENDS_WELL(killed_caller_takes_its_message_along),
    ENDS_WELL(handle_is_closed_once),
};
const struct hostile_subject hostile_handles = SUBJECT("handles", cases);
