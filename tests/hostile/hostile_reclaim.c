/* SPDX-License-Identifier: MIT */
/*
 * hostile_reclaim.c: pagers that delay reclaim, and so every task that allocates; and objects with
 * so many regions that dropping a page takes long.
 *
 * Times are guest times.  The cases run under icount, on a small machine with one CPU, and only if
 * chosen by number (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define RW        (ABI_READ | ABI_WRITE)
#define RUN_NS    (2 * NS_PER_S)    /* the longest wait of a run of reclaim for all pagers */
#define GONE_NS   (100 * NS_PER_MS) /* a killed task must be gone within this time */
#define NR_SILENT 12u
#define DIRTY     4u
#define MANY      2000u
#define MAPPERS   20u
#define REGIONS   250u /* below a task's limit for one object */

static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));

/* Make an object whose pager is this task; all its pages are present and dirty. */
static u64 dirty_object(u64 endpoint, u64 pages, u64 timeout_ns)
{
	u64 object = (u64)pager_bind(endpoint, pages, 0, timeout_ns), i;
	volatile char *at = address_for(pages);

	WANT(map(object, (void *)at, pages, 0, RW), 0);
	for (i = 0; i < pages; i++) {
		WANT(pager_supply(object, i, source), 0);
		at[i * ABI_PAGE_SIZE] = 1;
	}
	return object;
}

static void report(u64 endpoint)
{
	struct message m = {.word = {0}};

	WANT(call(endpoint, &m, HOSTILE_NS), 0);
}

/* A task that takes all memory must be killed in time, whatever the pagers of other tasks do. */
static void expect_kill_in_time(void)
{
	u64 began = clock_ns();

	hostile_expect(hostile_hog, 0, 0, TASK_KILLED, -ENOMEM);
	began = clock_ns() - began;
	if (began > 2 * RUN_NS)
		printf("after %lu ms\n", (unsigned long)(began / NS_PER_MS));
	WANT(began <= 2 * RUN_NS, 1);
}

/* Wait until a started task reports, and answer it. */
static void started(u64 endpoint, s64 task)
{
	struct message m;
	s64 from = receive(endpoint, &m, HOSTILE_NS);

	WANT(task > 0 && from > 0, 1);
	m = (struct message){.word = {0}};
	WANT(reply((u64)from, &m), 0);
}

/* ---- silent pagers ---- */

static int be_silent(u64 handle, u64 arg)
{
	dirty_object((u64)endpoint_create(), DIRTY, ABI_MAX_PAGER_NS);
	report(handle);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

static void many_tasks_have_silent_pagers(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP),
	    task[NR_SILENT];
	unsigned i;
	int status;

	for (i = 0; i < NR_SILENT; i++) {
		task[i] = hostile_start(be_silent, (u64)send, 0);
		started((u64)endpoint, task[i]);
	}
	expect_kill_in_time();
	for (i = 0; i < NR_SILENT; i++) {
		task_kill((u64)task[i]);
		hostile_end(task[i], &status);
	}
}

/* ---- a pager that refuses ---- */

static u64 refused_at;

static void refuse(u64 arg)
{
	struct message m;
	s64 from;

	while ((from = receive(refused_at, &m, ABI_WAIT_FOREVER)) > 0) {
		sleep_ns(8 * NS_PER_MS);
		m = (struct message){.word = {ABI_PAGER_FAILED}};
		reply((u64)from, &m);
	}
}

static int refuse_two(u64 handle, u64 arg)
{
	static struct thread server;
	volatile char *at[2];
	u64 object[2], i;

	refused_at = (u64)endpoint_create();
	WANT(thread_start(&server, refuse, 0), 0);
	for (i = 0; i < 2; i++) {
		object[i] = (u64)pager_bind(refused_at, MANY, 0, NS_PER_S);
		at[i] = address_for(MANY);
		WANT(map(object[i], (void *)at[i], MANY, 0, RW), 0);
	}
	for (i = 0; i < 2 * MANY; i++) {
		WANT(pager_supply(object[i % 2], i / 2, source), 0);
		at[i % 2][i / 2 * ABI_PAGE_SIZE] = 1;
	}
	report(handle);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

static void pages_of_two_objects_are_refused_in_turns(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP),
	    task = hostile_start(refuse_two, (u64)send, 0);
	int status;

	started((u64)endpoint, task);
	expect_kill_in_time();
	task_kill((u64)task);
	WANT(hostile_end(task, &status), TASK_KILLED);
}

/* ---- very many regions ---- */

static u64 shown; /* the object that a mapper maps */

static int map_often(u64 handle, u64 arg)
{
	struct message m = {.word = {0}};
	unsigned i;

	WANT(call(handle, &m, HOSTILE_NS), 0);
	shown = m.handle;
	for (i = 0; i < REGIONS; i++)
		WANT(map(shown, address_for(MANY + 1), MANY + 1, 0, RW), 0);
	report(handle);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

static int drop_all(u64 object, u64 arg)
{
	pager_drop(object, 0, MANY);
	return 0;
}

/* The last page is this task's own: while it is dropped, each other drop waits. */
static int drop_again_and_again(u64 object, u64 arg)
{
	volatile char *at = address_for(1);

	WANT(map(object, (void *)at, 1, MANY, RW), 0);
	while (!pager_supply(object, MANY, source)) {
		*at = 1;
		WANT(pager_drop(object, MANY, 1), 0);
	}
	return 99;
}

/* Kill a task in a system call; it must end in time.  Returns how it has ended. */
static s64 end_in_time(s64 task)
{
	u64 began = clock_ns();
	int status;
	s64 how;

	task_kill((u64)task);
	how = hostile_end(task, &status);
	began = clock_ns() - began;
	if (began > GONE_NS)
		printf("after %lu ms\n", (unsigned long)(began / NS_PER_MS));
	WANT(began <= GONE_NS, 1);
	return how;
}

/*
 * Kill a task in pager_drop.  @touched: each page also has one page table entry.  @beside: another
 * task drops a page of the same object again and again.
 */
static void drop_is_killed(bool touched, bool beside)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND | RIGHT_DUP),
	    mapper[MAPPERS], dropper, other = 0, from;
	u64 object = (u64)pager_bind((u64)endpoint_create(), MANY + 1, 0, NS_PER_S), i;
	volatile char *at = address_for(MANY);
	struct message m;
	int status;

	WANT(map(object, (void *)at, MANY, 0, RW), 0);
	for (i = 0; i < MANY; i++) {
		WANT(pager_supply(object, i, source), 0);
		if (touched)
			at[i * ABI_PAGE_SIZE] = 1;
	}
	for (i = 0; i < MAPPERS; i++) {
		mapper[i] = hostile_start(map_often, (u64)send, 0);
		from = receive((u64)endpoint, &m, HOSTILE_NS);
		m = (struct message){.handle = object};
		WANT(reply((u64)from, &m), 0);
		started((u64)endpoint, mapper[i]);
	}
	if (beside)
		other = hostile_start(drop_again_and_again, object, 0);
	dropper = hostile_start(drop_all, object, 0);
	sleep_ns((beside ? 50 : 5) * NS_PER_MS);
	end_in_time(dropper);
	if (beside)
		WANT(end_in_time(other), TASK_KILLED);
	for (i = 0; i < MAPPERS; i++) {
		task_kill((u64)mapper[i]);
		hostile_end(mapper[i], &status);
	}
}

static void drop_of_pages_that_many_regions_might_show_is_killed(void)
{
	drop_is_killed(false, false);
}

static void drop_of_pages_that_one_of_many_regions_shows_is_killed(void)
{
	drop_is_killed(true, false);
}

static void drop_beside_drops_without_end_is_killed(void)
{
	drop_is_killed(true, true);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(many_tasks_have_silent_pagers),
    ENDS_WELL(pages_of_two_objects_are_refused_in_turns),
    ENDS_WELL(drop_of_pages_that_many_regions_might_show_is_killed),
    ENDS_WELL(drop_of_pages_that_one_of_many_regions_shows_is_killed),
    ENDS_WELL(drop_beside_drops_without_end_is_killed),
};
const struct hostile_subject hostile_reclaim = SUBJECT_ALONE("reclaim", cases);
