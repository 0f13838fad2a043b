/* SPDX-License-Identifier: MIT */
/*
 * hostile_oom.c: tasks that take all memory, after they have hoarded some of the kernel's, or
 * pretended to be pagers that other tasks need; beside an innocent task, which must never be
 * killed.
 *
 * They run on a small machine, and by their number only (tests/qemu/test_hostile.py).
 */
#include "hostile.h"

#define AT(i)    ((char *)0x10000000000UL + (i)*0x200000UL) /* each in a page table of its own */
#define INNOCENT 200u                                       /* pages of the innocent */
#define SERVED   6u                                         /* pages of a hog that others use */
#define MANY     300u
#define ALL      16384u /* pages of a machine of 64 MiB */
#define AT_MOST  100000u
#define RW       (ABI_READ | ABI_WRITE)
#define WORD(i)  (0x1770ce17UL * ((i) + 1))

/* ---- the innocent ---- */

static int keep_and_compare(u64 handle, u64 arg)
{
	volatile u64 *at = pages_alloc(INNOCENT);
	struct message m = {.word = {0}};
	u64 i, wrong = 0;

	for (i = 0; at && i < INNOCENT; i++)
		at[i * 512] = WORD(i);
	WANT(call(handle, &m, HOSTILE_NS), 0);
	for (i = 0; at && i < INNOCENT; i++)
		wrong += at[i * 512] != WORD(i);
	WANT(wrong, 0);
	return at ? 0 : 1;
}

s64 hostile_innocent(u64 endpoint, s64 *from)
{
	s64 send = handle_dup(endpoint, RIGHT_SEND | RIGHT_DUP),
	    task = hostile_start(keep_and_compare, (u64)send, 0);
	struct message m;

	*from = receive(endpoint, &m, HOSTILE_NS);
	WANT(task > 0 && *from > 0, 1);
	handle_close((u64)send);
	return task;
}

void hostile_innocent_ends(s64 task, s64 from)
{
	struct message m = {.word = {0}};
	int status;

	WANT(reply((u64)from, &m), 0);
	WANT(hostile_end(task, &status), TASK_EXITED);
	WANT(status, 0);
}

void hostile_killed_beside_an_innocent(hostile_role *role, u64 arg)
{
	s64 endpoint = endpoint_create(), from, innocent = hostile_innocent((u64)endpoint, &from);

	hostile_expect(role, programs, arg, TASK_KILLED, -ENOMEM);
	hostile_innocent_ends(innocent, from);
}

static volatile char *all; /* as many pages as the machine has */

void hostile_prepare_all(void)
{
	u64 i;

	all = pages_alloc(ALL);
	for (i = 0; all && i < ALL; i += 512)
		all[i * ABI_PAGE_SIZE] = 1;
}

int hostile_take_all(void)
{
	u64 i;

	for (i = 0; all && i < ALL; i++)
		all[i * ABI_PAGE_SIZE] = 1;
	return 99;
}

/* ---- hoarders ---- */

static void hoard_objects(u64 arg)
{
	s64 err = 0, object;
	u64 i;

	for (i = 0; i < AT_MOST && !err; i++) {
		object = object_create(512);
		err = object < 0 ? object : map((u64)object, AT(i), 1, 0, RW);
		handle_close((u64)object);
		if (!err && arg)
			*(volatile char *)AT(i) = 1;
	}
}

static void hoard_regions(u64 arg)
{
	char *at = pages_alloc(AT_MOST);
	s64 err = 0;
	u64 i;

	for (i = 0; i < AT_MOST && !err; i += 2)
		err = protect(at + i * ABI_PAGE_SIZE, 1, ABI_READ);
}

static void hoard_endpoints(u64 arg)
{
	while (endpoint_create() > 0)
		;
}

static void hoard_pagers(u64 arg)
{
	s64 endpoint = endpoint_create(), err = 0;
	u64 i;

	for (i = 0; i < AT_MOST && !err; i++) {
		s64 object = pager_bind((u64)endpoint, 100000, i, NS_PER_S);

		err = object < 0 ? object : map((u64)object, AT(i), 1, 0, RW);
		handle_close((u64)object);
	}
}

static void wait_for_reply(u64 endpoint)
{
	struct message m = {.word = {0}};

	call(endpoint, &m, ABI_WAIT_FOREVER);
}

static void hoard_threads(u64 arg)
{
	static struct thread thread[ABI_MAX_THREADS];
	u64 endpoint = (u64)endpoint_create();
	unsigned i;

	for (i = 0; i < ABI_MAX_THREADS && !thread_start(&thread[i], wait_for_reply, endpoint); i++)
		;
}

static int sleep_while_it_lives(u64 handle, u64 arg)
{
	wait_for_reply(handle);
	return 0;
}

/* They end with the endpoint, which ends with the task. */
static void hoard_tasks(u64 arg)
{
	s64 send = handle_dup((u64)endpoint_create(), RIGHT_SEND | RIGHT_DUP), task;

	do {
		task = hostile_start(sleep_while_it_lives, (u64)send, 0);
		handle_close((u64)task);
	} while (task > 0);
}

static void hoard_unmapped(u64 arg)
{
	s64 object = object_create(MANY);
	char *at = address_for(MANY);

	map((u64)object, at, MANY, 0, RW);
	memset(at, 1, MANY * ABI_PAGE_SIZE);
	unmap(at, MANY);
}

static void hoard_calls(u64 arg)
{
	s64 endpoint = endpoint_create();
	struct message m = {.word = {0}};
	unsigned i;

	for (i = 0; i < 1000; i++)
		call((u64)endpoint, &m, 0);
}

static void (*const kinds[])(u64) = {hoard_objects, hoard_regions, hoard_endpoints, hoard_pagers,
    hoard_threads, hoard_tasks, hoard_unmapped, hoard_calls};
enum kind { OBJECTS, REGIONS, ENDPOINTS, PAGERS, THREADS, TASKS, UNMAPPED, CALLS };
#define TOUCHED 0x100u /* with page tables */

static int hoard(u64 handle, u64 arg)
{
	programs = handle;
	hostile_prepare_all();
	kinds[arg & 0xff](arg & TOUCHED);
	return hostile_take_all();
}

static void objects_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, OBJECTS);
}

static void page_tables_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, OBJECTS | TOUCHED);
}

static void regions_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, REGIONS);
}

static void endpoints_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, ENDPOINTS);
}

static void pagers_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, PAGERS);
}

static void threads_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, THREADS);
}

static void tasks_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, TASKS);
}

static void pages_mapped_nowhere_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, UNMAPPED);
}

static void calls_that_nobody_answers_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, CALLS);
}

/* ---- hogs that look like pagers ---- */

enum disguise { ITS_OWN, OF_THE_DYING, OF_EACH_OTHER, LATE, DROPPED };
static u64 served_at, served_object;
static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));

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

/* Touch so many pages of another task's object. */
static void use(u64 object, u64 pages)
{
	volatile char *at = address_for(pages);
	u64 i;

	WANT(map(object, (void *)at, pages, 0, RW), 0);
	for (i = 0; i < pages; i++)
		(void)at[i * ABI_PAGE_SIZE];
}

static int client(u64 object, u64 pages)
{
	use(object, pages);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

/* Offer an object; after the answer use its object, if it has one, and take all memory. */
static int disguised(u64 handle, u64 disguise)
{
	static struct thread server;
	struct message m;

	hostile_prepare_all();
	if (disguise == LATE) {
		u64 i, pages = (u64)info(INFO_FREE_PAGES, 0) / 2;

		for (i = 0; all && i < pages; i++)
			all[i * ABI_PAGE_SIZE] = 1;
	}
	served_at = (u64)endpoint_create();
	served_object = (u64)pager_bind(served_at, MANY, 0, NS_PER_S);
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
	s64 send = handle_dup(endpoint, RIGHT_SEND | RIGHT_DUP);
	struct message m;

	*task = hostile_start(disguised, (u64)send, disguise);
	*from = receive(endpoint, &m, HOSTILE_NS);
	WANT(*task > 0 && *from > 0 && m.handle, 1);
	handle_close((u64)send);
	return m.handle;
}

/* Start a client that touches so many of the object's pages. */
static s64 start_client(u64 object, u64 pages)
{
	s64 task = hostile_start(client, object, pages);
	unsigned i;

	for (i = 0; i < 10000 && (u64)info(INFO_OBJECT_PRESENT, object) < pages; i++)
		sleep_ns(NS_PER_MS);
	WANT(info(INFO_OBJECT_PRESENT, object), pages);
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
		/* Killed by task_kill, not for its memory. */
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

		/* The pager of the page that it touches may have been killed first. */
		WANT(how == TASK_FAULTED || (how == TASK_KILLED && status == -ENOMEM), 1);
	}
	hostile_innocent_ends(innocent, from);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(objects_are_hoarded),
    ENDS_WELL(page_tables_are_hoarded),
    ENDS_WELL(regions_are_hoarded),
    ENDS_WELL(endpoints_are_hoarded),
    ENDS_WELL(pagers_are_hoarded),
    ENDS_WELL(threads_are_hoarded),
    ENDS_WELL(tasks_are_hoarded),
    ENDS_WELL(pages_mapped_nowhere_are_hoarded),
    ENDS_WELL(calls_that_nobody_answers_are_hoarded),
    ENDS_WELL(hog_is_the_pager_of_its_own_memory),
    ENDS_WELL(hog_is_the_pager_of_a_task_that_is_ending),
    ENDS_WELL(hogs_are_the_pagers_of_each_other),
    ENDS_WELL(hog_becomes_a_pager_when_memory_is_short),
    ENDS_WELL(hog_serves_many_pages_and_drops_them),
};
const struct hostile_subject hostile_oom = SUBJECT_ALONE("oom", cases);
