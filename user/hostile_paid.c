/* SPDX-License-Identifier: MIT */
/*
 * hostile_paid.c: tasks that take all memory in ways in which no page table of theirs and no handle
 * shows it, beside an innocent task, which must never be killed: a page is paid for by the task
 * that has created its object.
 *
 * They run on a small machine, and by their number only (tests/qemu/test_hostile.py).
 */
#include "hostile.h"

#define CHUNK 1024u /* pages of an object */
#define MANY  14u   /* of these: most of a machine of 64 MiB */
#define RW    (ABI_READ | ABI_WRITE)

static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));

static u64 filled(void)
{
	u64 object = (u64)object_create(CHUNK);
	char *at = address_for(CHUNK);
	u64 i;

	map(object, at, CHUNK, 0, RW);
	for (i = 0; i < CHUNK; i++)
		at[i * ABI_PAGE_SIZE] = 1;
	unmap(at, CHUNK);
	return object;
}

/* ---- ways to hide it ---- */

/* Behind a region that nobody touches. */
static void behind_a_region(u64 arg)
{
	u64 object = filled();

	map(object, address_for(CHUNK), CHUNK, 0, RW);
	handle_close(object);
}

static u64 silent; /* an endpoint where nobody receives */

static void give_away(u64 object)
{
	struct message m = {.handle = object};

	call(silent, &m, ABI_WAIT_FOREVER);
}

/* In a message that nobody receives. */
static void in_a_message(u64 arg)
{
	static struct thread thread[ABI_MAX_THREADS];
	u64 object = filled();

	if (!silent)
		silent = (u64)endpoint_create();
	WANT(thread_start(&thread[arg], give_away, object), 0);
	sleep_ns(NS_PER_MS);
	handle_close(object);
}

static u64 served_at;
static s64 served[MANY];

/* Brings pages, also those that were dropped before they were written to, and takes none back. */
static void serve_own(u64 arg)
{
	struct message m;
	s64 from, err;

	while ((from = receive(served_at, &m, ABI_WAIT_FOREVER)) > 0) {
		u64 answer = ABI_PAGER_FAILED;

		if (m.word[0] == ABI_PAGER_GET) {
			err = pager_supply((u64)served[m.word[2]], m.word[1], source);
			answer = err == -ENOMEM ? ABI_PAGER_NO_MEMORY : ABI_PAGER_DONE;
		}
		m = (struct message){.word = {answer}};
		reply((u64)from, &m);
	}
}

/* Dirty pages of a pager of its own, mapped nowhere. */
static void in_its_own_pager(u64 arg)
{
	static struct thread server;
	char *at = address_for(CHUNK);
	u64 object, i;

	if (!served_at) {
		served_at = (u64)endpoint_create();
		WANT(thread_start(&server, serve_own, 0), 0);
	}
	served[arg] = pager_bind(served_at, CHUNK, arg, NS_PER_S);
	object = (u64)served[arg];
	for (i = 0; i < CHUNK; i++)
		pager_supply(object, i, source);
	map(object, at, CHUNK, 0, RW);
	for (i = 0; i < CHUNK; i++)
		at[i * ABI_PAGE_SIZE] = 1;
	unmap(at, CHUNK);
}

static void (*const ways[])(u64) = {behind_a_region, in_a_message, in_its_own_pager};
enum way { BEHIND_A_REGION, IN_A_MESSAGE, IN_ITS_OWN_PAGER };

static int hide(u64 handle, u64 way)
{
	u64 i;

	for (i = 0; i < MANY; i++)
		ways[way](i);
	hostile_prepare_all();
	return hostile_take_all();
}

static void pages_are_behind_an_untouched_region(void)
{
	hostile_killed_beside_an_innocent(hide, BEHIND_A_REGION);
}

static void pages_are_in_a_message_that_nobody_receives(void)
{
	hostile_killed_beside_an_innocent(hide, IN_A_MESSAGE);
}

static void pages_are_in_a_pager_of_its_own(void)
{
	hostile_killed_beside_an_innocent(hide, IN_ITS_OWN_PAGER);
}

/* ---- a server that keeps what its client has filled ---- */

static int keep(u64 endpoint, u64 arg)
{
	struct message m = {.word = {0}};

	/* The answer brings the object; after the next one it ends. */
	WANT(call(endpoint, &m, HOSTILE_NS), 0);
	WANT(m.handle != 0, 1);
	m = (struct message){.word = {0}};
	WANT(call(endpoint, &m, ABI_WAIT_FOREVER), 0);
	return 0;
}

/* Fill an object that another has, and take the rest. */
static int fill_and_take(u64 endpoint, u64 arg)
{
	u64 object = (u64)object_create(8 * CHUNK), i;
	struct message m = {.handle = object};
	char *at = address_for(8 * CHUNK);

	WANT(call(endpoint, &m, HOSTILE_NS), 0);
	map(object, at, 8 * CHUNK, 0, RW);
	for (i = 0; i < 8 * CHUNK; i++)
		at[i * ABI_PAGE_SIZE] = 1;
	unmap(at, 8 * CHUNK);
	map(object, at, 8 * CHUNK, 0, RW);
	hostile_prepare_all();
	return hostile_take_all();
}

static void server_has_what_its_client_fills(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP),
	    client = hostile_start(fill_and_take, (u64)send, 0), server, from[2];
	struct message m;
	int status;

	from[0] = receive((u64)endpoint, &m, HOSTILE_NS);
	WANT(from[0] > 0 && m.handle, 1);
	server = hostile_start(keep, (u64)send, 0);
	from[1] = receive((u64)endpoint, &(struct message){.word = {0}}, HOSTILE_NS);
	m.word[0] = 0;
	WANT(reply((u64)from[1], &m), 0);
	handle_close(m.handle);
	from[1] = receive((u64)endpoint, &m, HOSTILE_NS);
	m = (struct message){.word = {0}};
	WANT(reply((u64)from[0], &m), 0);
	/* Its object is the server's now, which is killed only if it has the most then. */
	WANT(hostile_end(client, &status), TASK_KILLED);
	WANT(status, -ENOMEM);
	WANT(reply((u64)from[1], &m), 0);
	WANT(hostile_end(server, &status), TASK_EXITED);
	WANT(status, 0);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(pages_are_behind_an_untouched_region),
    ENDS_WELL(pages_are_in_a_message_that_nobody_receives),
    ENDS_WELL(pages_are_in_a_pager_of_its_own),
    ENDS_WELL(server_has_what_its_client_fills),
};
const struct hostile_subject hostile_paid = SUBJECT_ALONE("paid", cases);
