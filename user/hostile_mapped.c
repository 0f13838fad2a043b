/* SPDX-License-Identifier: MIT */
/*
 * hostile_mapped.c: a family maps an object of its pager as often as it may, so that each page of
 * the object is costly to reclaim; then an honest task needs memory.
 *
 * Times are guest times.  The cases run under icount, on a machine of 64 MiB with one CPU, and only
 * if chosen by number (tests/qemu/test_hostile.py).
 */
#include "hostile.h"

#define RW       (ABI_READ | ABI_WRITE)
#define MAPPERS  57u
#define FEW      427u
#define MANY     1424u
#define ALL      255u  /* mappings in each task: all that it may have */
#define WALKED   3u    /* mappings in each task: so few that reclaim visits them */
#define LEFT     1000u /* free pages that the family leaves */
#define NEEDED   2500u /* pages of the honest task: more than are free or dirty */
#define WORST_NS (2 * NS_PER_S)

static char page[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));

static u64 report(u64 endpoint)
{
	struct message m = {.word = {0}};

	WANT(call(endpoint, &m, ABI_WAIT_FOREVER), 0);
	return m.handle;
}

/* ---- the honest task, of another family ---- */

static int need_memory(u64 meeting, u64 arg)
{
	volatile char *at = pages_alloc(NEEDED);
	u64 i, began, took, worst = 0;

	report(meeting);
	for (i = 0; i < NEEDED; i++) {
		began = clock_ns();
		at[i * ABI_PAGE_SIZE] = 1;
		took = clock_ns() - began;
		worst = took > worst ? took : worst;
	}
	printf("a task waits for %lu ms at most\n", (unsigned long)(worst / NS_PER_MS));
	WANT(worst <= WORST_NS, 1);
	call(meeting, &(struct message){.word = {0}}, ABI_WAIT_FOREVER);
	return 0;
}

/* ---- the family ---- */

static u64 served_at, object;
static bool takes; /* the pager takes its pages back; else it refuses them */

static void serve(u64 arg)
{
	struct message m;
	s64 from;

	while ((from = receive(served_at, &m, ABI_WAIT_FOREVER)) > 0) {
		bool done = takes && !pager_take_back(object, m.word[1], page);

		m = (struct message){.word = {done ? ABI_PAGER_DONE : ABI_PAGER_FAILED}};
		reply((u64)from, &m);
	}
}

/* Map the object up to @most times, or as often as this task may. */
static int map_often(u64 handle, u64 most)
{
	u64 shown = report(handle), pages = (u64)info(INFO_OBJECT_PAGES, shown), i;

	for (i = 0; i < most && !map(shown, address_for(pages), pages, 0, RW); i++)
		;
	report(handle);
	return 99;
}

static int take_most(u64 handle, u64 arg)
{
	u64 i;

	hostile_prepare_all();
	report(handle);
	for (i = 0; i < HOSTILE_ALL && info(INFO_FREE_PAGES, 0) > LEFT; i++)
		hostile_all[i * ABI_PAGE_SIZE] = 1;
	report(handle);
	return 99;
}

static void make_dirty_pages(u64 pages)
{
	volatile char *at = address_for(pages);
	static struct thread server;
	u64 i;

	served_at = (u64)endpoint_create();
	object = (u64)pager_bind(served_at, pages, 0, NS_PER_S);
	WANT(map(object, (void *)at, pages, 0, RW), 0);
	for (i = 0; i < pages; i++) {
		WANT(pager_supply(object, i, page), 0);
		at[i * ABI_PAGE_SIZE] = 1;
	}
	WANT(thread_start(&server, serve, 0), 0);
}

/* Answer a task that has reported, and wait until it reports again. */
static void let_go_on(u64 endpoint, s64 from, u64 handle)
{
	struct message m = {.handle = handle};

	WANT(reply((u64)from, &m), 0);
	WANT(receive(endpoint, &m, HOSTILE_NS) > 0, 1);
}

/* All tasks start first: in the end no region is left for another one. */
static void map_and_take_memory(u64 pages, u64 most, bool taken)
{
	s64 task[MAPPERS + 1], from[MAPPERS + 1], honest;
	u64 endpoint = (u64)endpoint_create();
	struct message m;
	unsigned i;
	int status;

	takes = taken;
	make_dirty_pages(pages);
	for (i = 0; i <= MAPPERS; i++)
		task[i] =
		    hostile_hear(endpoint, i < MAPPERS ? map_often : take_most, most, &m, &from[i]);
	for (i = 0; i < MAPPERS; i++)
		let_go_on(endpoint, from[i], object);
	printf("%lu mappings, most of an object of %lu pages\n",
	    (unsigned long)info(INFO_USED, LIMIT_REGIONS), (unsigned long)pages);
	honest = receive(hostile_meeting, &m, HOSTILE_NS);
	let_go_on(endpoint, from[MAPPERS], 0);
	let_go_on(hostile_meeting, honest, 0);
	for (i = 0; i <= MAPPERS; i++) {
		task_kill((u64)task[i]);
		hostile_end(task[i], &status);
	}
	WANT(status, -ENOMEM);
}

static void few_pages_that_are_refused(void)
{
	map_and_take_memory(FEW, ALL, false);
}

static void many_pages_that_are_refused(void)
{
	map_and_take_memory(MANY, ALL, false);
}

static void few_pages_that_are_taken(void)
{
	map_and_take_memory(FEW, ALL, true);
}

static void many_pages_that_are_taken(void)
{
	map_and_take_memory(MANY, ALL, true);
}

static void pages_with_fewer_mappings_are_refused(void)
{
	map_and_take_memory(MANY, WALKED, false);
}

static const struct hostile_case cases[] = {
    ENDS_WELL_BESIDE(few_pages_that_are_refused, need_memory),
    ENDS_WELL_BESIDE(many_pages_that_are_refused, need_memory),
    ENDS_WELL_BESIDE(few_pages_that_are_taken, need_memory),
    ENDS_WELL_BESIDE(many_pages_that_are_taken, need_memory),
    ENDS_WELL_BESIDE(pages_with_fewer_mappings_are_refused, need_memory),
};
/* The first task may let a family have almost all tasks; usually it has half of them. */
static const struct abi_limits limits = {{
    [LIMIT_TASKS] = MAPPERS + 2,
    [LIMIT_TASKS + 1 ... NR_LIMITS - 1] = ABI_LIMIT_INHERIT,
}};
const struct hostile_subject hostile_mapped = {"mapped", cases, ARRAY_SIZE(cases), true, &limits};
