/* SPDX-License-Identifier: MIT */
/*
 * hostile_disguised.c: tasks that take all memory, and pretend to be pagers that other tasks need.
 * An innocent task beside them must never be killed.
 *
 * The cases need a small machine, and run only if chosen by number (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define SERVED 6u /* pages of a hog's object that other tasks use */
#define MANY   300u
#define RW     (ABI_READ | ABI_WRITE)

/* ---- the hog, and its clients ---- */

enum disguise { ITS_OWN, OF_THE_DYING, OF_EACH_OTHER, LATE, DROPPED, RECLAIMED };
static u64 served_at, served_object;
static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));

/* Supply pages, and take none back: the kernel sees through that answer. */
static void serve(u64 arg)
{
	struct message m;
	s64 from;

	while ((from = receive(served_at, &m, ABI_WAIT_FOREVER)) > 0) {
		pager_supply(served_object, m.word[1], source);
		m = (struct message){.word = {ABI_PAGER_DONE}};
		reply((u64)from, &m);
	}
}

/* Map an object and touch its first @pages pages. */
static void use(u64 object, u64 pages)
{
	volatile char *at = address_for(pages);
	u64 i;

	WANT(map(object, (void *)at, pages, 0, RW), 0);
	for (i = 0; i < pages; i++)
		(void)at[i * ABI_PAGE_SIZE];
}

/* Report, touch pages of the object that comes with the answer, and report again. */
static int client(u64 handle, u64 pages)
{
	struct message m = {.word = {0}};

	WANT(call(handle, &m, HOSTILE_NS), 0);
	use(m.handle, pages);
	m = (struct message){.word = {0}};
	WANT(call(handle, &m, HOSTILE_NS), 0);
	return 0;
}

static int client_that_stays(u64 handle, u64 pages)
{
	client(handle, pages);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

static int client_of_all(u64 handle, u64 arg)
{
	return client(handle, HOSTILE_ALL);
}

/* Offer an object, use the object that comes with the answer, if any, and take all memory. */
static int disguised(u64 handle, u64 disguise)
{
	static struct thread server;
	struct message m;

	hostile_prepare_all();
	if (disguise == LATE) {
		u64 i, pages = (u64)info(INFO_FREE_PAGES, 0) / 2;

		for (i = 0; i < pages; i++)
			hostile_all[i * ABI_PAGE_SIZE] = 1;
	}
	served_at = (u64)endpoint_create();
	served_object =
	    (u64)pager_bind(served_at, disguise == RECLAIMED ? HOSTILE_ALL : MANY, 0, NS_PER_S);
	WANT(thread_start(&server, serve, 0), 0);
	if (disguise == ITS_OWN)
		use(served_object, SERVED);
	m = (struct message){.handle = served_object};
	WANT(call(handle, &m, HOSTILE_NS), 0);
	if (m.handle)
		use(m.handle, SERVED);
	if (disguise == DROPPED)
		WANT(pager_drop(served_object, 0, MANY), 0);
	return hostile_take_all();
}

/* Start a disguised hog; returns the object that it offers. */
static u64 start_disguised(u64 endpoint, enum disguise disguise, s64 *task, s64 *from)
{
	struct message m;

	*task = hostile_hear(endpoint, disguised, disguise, &m, from);
	WANT(m.handle != 0, 1);
	return m.handle;
}

/*
 * Give a client the object and wait until the client has touched pages of it; returns the handle to
 * answer by.
 */
static s64 serve_client(u64 endpoint, u64 object)
{
	struct message m;
	s64 from = receive(endpoint, &m, HOSTILE_NS);

	m = (struct message){.handle = object};
	WANT(reply((u64)from, &m), 0);
	return receive(endpoint, &m, HOSTILE_NS);
}

/* Start a client, which stays; returns its task after it has touched @pages pages of the object. */
static s64 start_client(u64 object, u64 pages)
{
	u64 endpoint = (u64)endpoint_create();
	s64 send = handle_dup(endpoint, RIGHT_SEND | RIGHT_DUP),
	    task = hostile_start(client_that_stays, (u64)send, pages);

	WANT(reply((u64)serve_client(endpoint, object), &(struct message){.word = {0}}), 0);
	return task;
}

static void disguise_beside_an_innocent(enum disguise disguise)
{
	s64 endpoint = endpoint_create(), from, answer, hog, task = 0;
	s64 innocent = hostile_innocent((u64)endpoint, &from);
	u64 object = start_disguised((u64)endpoint, disguise, &hog, &answer);
	struct message none = {.word = {0}};
	int status;

	if (disguise != ITS_OWN)
		task = start_client(object, disguise == DROPPED ? MANY : SERVED);
	if (disguise == OF_THE_DYING)
		WANT(task_kill((u64)task), 0);
	WANT(reply((u64)answer, &none), 0);
	WANT(hostile_end(hog, &status), TASK_KILLED);
	WANT(status, -ENOMEM);
	if (task) {
		if (disguise != OF_THE_DYING)
			WANT(task_kill((u64)task), 0);
		WANT(hostile_end(task, &status), TASK_KILLED);
		/* The task was ended by task_kill, not by the OOM killer. */
		WANT(status == -ENOMEM, 0);
	}
	hostile_innocent_ends(innocent, from);
}

static void hog_is_the_pager_of_its_own_memory(void)
{
	disguise_beside_an_innocent(ITS_OWN);
}

static void hog_is_the_pager_of_a_task_that_is_ending(void)
{
	disguise_beside_an_innocent(OF_THE_DYING);
}

static void hog_becomes_a_pager_when_memory_is_short(void)
{
	disguise_beside_an_innocent(LATE);
}

static void hog_serves_many_pages_and_drops_them(void)
{
	disguise_beside_an_innocent(DROPPED);
}

/*
 * A task of another family has read each of the hog's pages once; reclaim has dropped some of them.
 */
static void hog_has_served_pages_that_are_gone(void)
{
	s64 from, answer, hog;
	struct message m;
	u64 object = start_disguised((u64)endpoint_create(), RECLAIMED, &hog, &answer);
	int status;

	from = serve_client(hostile_meeting, object);
	WANT(info(INFO_OBJECT_PRESENT, object) < HOSTILE_ALL, 1);
	m = (struct message){.word = {0}};
	WANT(reply((u64)answer, &m), 0);
	WANT(hostile_end(hog, &status), TASK_KILLED);
	WANT(status, -ENOMEM);
	WANT(reply((u64)from, &m), 0);
}

static void hogs_are_the_pagers_of_each_other(void)
{
	s64 endpoint = endpoint_create(), from, hog[2], answer[2],
	    innocent = hostile_innocent((u64)endpoint, &from);
	u64 object[2];
	unsigned i;
	int status;

	for (i = 0; i < 2; i++)
		object[i] = start_disguised((u64)endpoint, OF_EACH_OTHER, &hog[i], &answer[i]);
	for (i = 0; i < 2; i++) {
		struct message m = {.handle = object[1 - i]};

		WANT(reply((u64)answer[i], &m), 0);
	}
	for (i = 0; i < 2; i++) {
		s64 how = hostile_end(hog[i], &status);

		/* The other hog is this one's pager, and may have been killed first. */
		WANT(how == TASK_FAULTED || (how == TASK_KILLED && status == -ENOMEM), 1);
	}
	hostile_innocent_ends(innocent, from);
}

/* ---- a pager whose pages nobody can have back ---- */

#define REFUSED 8000u /* pages that the other task writes to; some 14,000 are free */
#define OWN     7000u /* pages of its own that it takes after that */

static int write_and_work(u64 handle, u64 arg)
{
	struct message m = {.word = {0}};
	volatile u64 *there = (volatile u64 *)address_for(REFUSED), *own;
	u64 i, wrong = 0;

	WANT(call(handle, &m, HOSTILE_NS), 0);
	WANT(map(m.handle, (void *)there, REFUSED, 0, RW), 0);
	for (i = 0; i < REFUSED; i++)
		there[i * 512] = i;
	own = pages_alloc(OWN);
	for (i = 0; i < OWN; i++)
		own[i * 512] = i;
	for (i = 0; i < OWN; i++)
		wrong += own[i * 512] != i;
	WANT(wrong, 0);
	return 0;
}

/* The pages count for the pager, and go with it, though the other task has them mapped. */
static void hog_refuses_to_take_its_pages_back(void)
{
	static struct thread server;
	struct message m;
	s64 from;

	served_at = (u64)endpoint_create();
	served_object = (u64)pager_bind(served_at, REFUSED, 0, NS_PER_S);
	WANT(thread_start(&server, serve, 0), 0);
	from = receive(hostile_meeting, &m, HOSTILE_NS);
	m = (struct message){.handle = served_object};
	WANT(reply((u64)from, &m), 0);
	sleep_ns(HOSTILE_NS);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(hog_is_the_pager_of_its_own_memory),
    ENDS_WELL(hog_is_the_pager_of_a_task_that_is_ending),
    ENDS_WELL(hogs_are_the_pagers_of_each_other),
    ENDS_WELL(hog_becomes_a_pager_when_memory_is_short),
    IS_KILLED_BESIDE(hog_refuses_to_take_its_pages_back, write_and_work),
    ENDS_WELL(hog_serves_many_pages_and_drops_them),
    ENDS_WELL_BESIDE(hog_has_served_pages_that_are_gone, client_of_all),
};
const struct hostile_subject hostile_disguised = SUBJECT_ALONE("disguised", cases);
