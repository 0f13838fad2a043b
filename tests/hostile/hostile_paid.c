/* SPDX-License-Identifier: MIT */
/*
 * hostile_paid.c: tasks that take all memory and hide it: none of their page tables or handles
 * shows it.  A page is paid for by the task that created its object.  An innocent task beside them
 * must never be killed.
 *
 * The cases need a small machine, and run only if chosen by number (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define CHUNK 512u /* pages of an object */
#define MANY  28u  /* the most objects: their pages are more than a machine of 64 MiB has free */
#define FILL  20u  /* a client fills FILL * CHUNK pages: two thirds of all pages */
#define RW    (ABI_READ | ABI_WRITE)

static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));

/* ---- ways to hide memory ---- */

/* The pages are behind a region that is never touched. */
static void behind_a_region(u64 arg)
{
	u64 object = hostile_filled(CHUNK);

	map(object, address_for(CHUNK), CHUNK, 0, RW);
	handle_close(object);
}

static u64 silent; /* an endpoint at which no thread receives */

static void give_away(u64 object)
{
	struct message m = {.handle = object};

	call(silent, &m, ABI_WAIT_FOREVER);
}

/* The pages are in a message that no thread receives. */
static void in_a_message(u64 arg)
{
	static struct thread thread[ABI_MAX_THREADS];
	u64 object = hostile_filled(CHUNK);

	if (!silent)
		silent = (u64)endpoint_create();
	WANT(thread_start(&thread[arg], give_away, object), 0);
	sleep_ns(NS_PER_MS);
	handle_close(object);
}

static u64 served_at;
static s64 served[MANY];

/* Supply pages on request, also pages that were dropped while clean; never take a page back. */
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

/* The pages are dirty, belong to an object whose pager is this task, and are mapped nowhere. */
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

	hostile_prepare_all();
	/* Leave fewer free pages than the innocent task has: these are taken openly below. */
	for (i = 0; i < MANY && (u64)info(INFO_FREE_PAGES, 0) > 3 * CHUNK; i++)
		ways[way](i);
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

/* ---- a server that keeps the pages that its client has filled ---- */

static int keep(u64 endpoint, u64 arg)
{
	struct message m = {.word = {0}};

	/* The first answer brings the object; after the second one this task ends. */
	WANT(call(endpoint, &m, HOSTILE_NS), 0);
	WANT(m.handle != 0, 1);
	m = (struct message){.word = {0}};
	WANT(call(endpoint, &m, ABI_WAIT_FOREVER), 0);
	return 0;
}

/*
 * Fill an object of which another task has a handle, keep it behind a region, and take the rest of
 * memory.
 */
static int fill_and_take(u64 endpoint, u64 arg)
{
	u64 object = (u64)object_create(FILL * CHUNK), i;
	struct message m = {.handle = object};
	char *at = address_for(FILL * CHUNK);

	hostile_prepare_all();
	WANT(call(endpoint, &m, HOSTILE_NS), 0);
	map(object, at, FILL * CHUNK, 0, RW);
	for (i = 0; i < FILL * CHUNK; i++)
		at[i * ABI_PAGE_SIZE] = 1;
	unmap(at, FILL * CHUNK);
	map(object, at, FILL * CHUNK, 0, RW);
	handle_close(object);
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
	/*
	 * The server pays for the client's object now, but is killed only if it then has the most
	 * memory.
	 */
	WANT(hostile_end(client, &status), TASK_KILLED);
	WANT(status, -ENOMEM);
	WANT(reply((u64)from[1], &m), 0);
	WANT(hostile_end(server, &status), TASK_EXITED);
	WANT(status, 0);
}

/* ---- memory that the kernel needs for a task ---- */

#define NR_PAGERS 1200u
#define WORKER    5000u /* pages; three innocent tasks have 7,500 */

/* Make as many objects as allowed, of the largest size; each is mapped, and has no handle. */
static int have_pagers(u64 handle, u64 arg)
{
	s64 endpoint = endpoint_create(), object = 0;
	struct message m = {.word = {0}};
	u64 i;

	for (i = 0; i < NR_PAGERS && object >= 0; i++) {
		object = pager_bind((u64)endpoint, ABI_MAX_PAGES, i, NS_PER_S);
		if (object >= 0)
			map((u64)object, address_for(1), 1, 0, RW);
		handle_close((u64)object);
	}
	WANT(call(handle, &m, HOSTILE_NS), 0);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

static int work(u64 handle, u64 pages)
{
	volatile char *at = pages_alloc(pages);
	u64 i;

	for (i = 0; at && i < pages; i++)
		at[i * ABI_PAGE_SIZE] = 1;
	return at ? 0 : 1;
}

/*
 * A task may make seven eighths of all objects.  They must need little memory, or the task must pay
 * for them: a worker beside it still gets the memory that it needs.
 */
static void pagers_of_large_objects_are_hoarded(void)
{
	u64 endpoint = (u64)endpoint_create();
	s64 innocent[3], at[3], task, from;
	struct abi_limits most;
	struct message m;
	unsigned i;
	int status;

	for (i = 0; i < NR_LIMITS; i++)
		most.limit[i] = (u64)info(INFO_LIMIT, i) * 7 / 8;
	for (i = 0; i < ARRAY_SIZE(innocent); i++)
		innocent[i] = hostile_innocent(endpoint, &at[i]);
	task = hostile_start_limited(
	    have_pagers, (u64)handle_dup(endpoint, RIGHT_SEND | RIGHT_DUP), 0, &most);
	from = receive(endpoint, &m, HOSTILE_NS);
	WANT(reply((u64)from, &(struct message){.word = {0}}), 0);
	hostile_expect(work, 0, WORKER, TASK_EXITED, 0);
	for (i = 0; i < ARRAY_SIZE(innocent); i++)
		hostile_innocent_ends(innocent[i], at[i]);
	task_kill((u64)task);
	WANT(hostile_end(task, &status), TASK_KILLED);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(pages_are_behind_an_untouched_region),
    ENDS_WELL(pages_are_in_a_message_that_nobody_receives),
    ENDS_WELL(pages_are_in_a_pager_of_its_own),
    ENDS_WELL(server_has_what_its_client_fills),
    ENDS_WELL(pagers_of_large_objects_are_hoarded),
};
const struct hostile_subject hostile_paid = SUBJECT_ALONE("paid", cases);
