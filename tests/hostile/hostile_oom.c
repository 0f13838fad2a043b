/* SPDX-License-Identifier: MIT */
/*
 * hostile_oom.c: tasks that take all memory after they have hoarded some of the kernel's memory.
 * An innocent task beside them must never be killed.
 *
 * The cases need a small machine, and run only if chosen by number (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define AT(i)    ((char *)0x10000000000UL + (i)*0x200000UL) /* an address with its own page table */
#define INNOCENT 2500u /* the innocent task's pages: a sixth of 64 MiB */
#define MANY     300u
#define AT_MOST  100000u
#define DEAD     240u /* tasks that have ended: a few fewer than a task may have handles */
#define RW       (ABI_READ | ABI_WRITE)
#define WORD(i)  (0x1770ce17UL * ((i) + 1))

/* ---- the innocent task ---- */

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
	struct message m;

	return hostile_hear(endpoint, keep_and_compare, 0, &m, from);
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

volatile char *hostile_all;

void hostile_prepare_all(void)
{
	u64 i;

	hostile_all = pages_alloc(HOSTILE_ALL);
	for (i = 0; hostile_all && i < HOSTILE_ALL; i += 512)
		hostile_all[i * ABI_PAGE_SIZE] = 1;
}

int hostile_take_all(void)
{
	u64 i;

	for (i = 0; hostile_all && i < HOSTILE_ALL; i++)
		hostile_all[i * ABI_PAGE_SIZE] = 1;
	return 99;
}

int hostile_hog(u64 handle, u64 arg)
{
	hostile_prepare_all();
	return hostile_take_all();
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

/*
 * Start as many tasks as possible.  Each waits for an answer at an endpoint where only this task
 * could receive.  When this task has ended, the calls fail, so the others end too.
 */
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
	hostile_filled(MANY);
}

static void hoard_calls(u64 arg)
{
	s64 endpoint = endpoint_create();
	struct message m = {.word = {0}};
	unsigned i;

	for (i = 0; i < 1000; i++)
		call((u64)endpoint, &m, 0);
}

/* Tasks that have ended stay as long as there are handles to them. */
static void hoard_dead_tasks(u64 arg)
{
	unsigned i;
	int status;

	for (i = 0; i < DEAD; i++)
		task_wait((u64)hostile_start(hostile_nothing, 0, 0), HOSTILE_NS, &status);
}

static void hoard_nothing(u64 arg)
{
}

static void (*const kinds[])(u64) = {hoard_objects, hoard_regions, hoard_endpoints, hoard_pagers,
    hoard_threads, hoard_tasks, hoard_unmapped, hoard_calls, hoard_dead_tasks, hoard_nothing};
enum kind {
	OBJECTS,
	REGIONS,
	ENDPOINTS,
	PAGERS,
	THREADS,
	TASKS,
	UNMAPPED,
	CALLS,
	DEAD_TASKS,
	NOTHING,
};
#define TOUCHED 0x100u /* touch each mapping, so that it has a page table */

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

/* tests/qemu/test_hostile.py compares the kernel's memory in these two runs. */
static void dead_tasks_are_hoarded(void)
{
	hostile_killed_beside_an_innocent(hoard, NOTHING);
	hostile_killed_beside_an_innocent(hoard, DEAD_TASKS);
}

/* ---- the hog's pages are in MOVABLE, and memory for the kernel is short ---- */

#define LEFT  3400u /* pages that the hog leaves; they are in other zones */
#define KEEPS 2700u /* of these, pages of the innocent task */
#define MAKES 850u  /* page tables that it makes after that */

static int keep_and_make_tables(u64 handle, u64 arg)
{
	volatile u64 *at = pages_alloc(KEEPS);
	struct message m = {.word = {0}};
	u64 object = 0, i, wrong = 0;

	/* The answer comes when the hog has its pages. */
	WANT(call(handle, &m, HOSTILE_NS), 0);
	for (i = 0; at && i < KEEPS; i++)
		at[i * 512] = i;
	for (i = 0; i < MAKES; i++) {
		if (i % 200 == 0)
			object = (u64)object_create(1);
		WANT(map(object, AT(i), 1, 0, RW), 0);
		*(volatile char *)AT(i) = 1;
	}
	for (i = 0; at && i < KEEPS; i++)
		wrong += at[i * 512] != i;
	WANT(wrong, 0);
	return at ? 0 : 1;
}

/* Without it, the other task's pages can move to MOVABLE: it is not killed for them. */
static void hog_has_its_pages_where_the_kernel_takes_none(void)
{
	struct message m;
	s64 from;
	u64 i;

	hostile_prepare_all();
	for (i = 0; i < HOSTILE_ALL && (u64)info(INFO_FREE_PAGES, 0) > LEFT; i++)
		hostile_all[i * ABI_PAGE_SIZE] = 1;
	from = receive(hostile_meeting, &m, HOSTILE_NS);
	WANT(reply((u64)from, &(struct message){.word = {0}}), 0);
	sleep_ns(HOSTILE_NS);
}

/* ---- names ---- */

/* The OOM killer's table may show the forged names, even though these tasks are refused. */
static void forge(u64 arg)
{
	for (;;)
		handle_close((u64)task_create(programs, "x\nkernel: forged\n", 0, 0, 0));
}

static int forge_beside_a_hog(u64 handle, u64 arg)
{
	static struct thread thread[3];
	unsigned i;

	programs = handle;
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		WANT(thread_start(&thread[i], forge, 0), 0);
	sleep_ns(HOSTILE_NS);
	return 99;
}

/*
 * tests/qemu/test_hostile.py looks for the forged line; the suite `task` checks how a name is
 * printed.
 */
static void name_of_a_task_is_no_line_of_the_kernels(void)
{
	s64 task = hostile_start(forge_beside_a_hog, programs, 0);
	unsigned i;
	int status;

	for (i = 0; i < 8; i++)
		hostile_expect(hostile_hog, 0, 0, TASK_KILLED, -ENOMEM);
	WANT(task_kill((u64)task), 0);
	WANT(hostile_end(task, &status), TASK_KILLED);
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
    IS_KILLED_BESIDE(hog_has_its_pages_where_the_kernel_takes_none, keep_and_make_tables),
    ENDS_WELL(name_of_a_task_is_no_line_of_the_kernels),
    ENDS_WELL(dead_tasks_are_hoarded),
};
const struct hostile_subject hostile_oom = SUBJECT_ALONE("oom", cases);
