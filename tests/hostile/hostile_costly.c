/* SPDX-License-Identifier: MIT */
/*
 * hostile_costly.c: a family makes each page of its pager's object costly to reclaim: it maps the
 * object as often as it may, its pager takes each page as slowly as costs it nothing, or its pager
 * is silent and the client that wrote the pages is dead.  Then an honest task needs memory.
 *
 * Times are guest times.  The cases run under icount, on a machine of 64 MiB with one CPU, and only
 * if chosen by number (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define RW       (ABI_READ | ABI_WRITE)
#define MAPPERS  57u
#define FEW      427u
#define MANY     1424u
#define ALL      255u  /* mappings in each task: all that it may have */
#define WALKED   3u    /* mappings in each task: so few that reclaim visits them */
#define LEFT     1000u /* free pages that the family leaves */
#define NEEDED   2500u /* pages of the honest task: more than are free or dirty */
#define WORST_NS (2 * NS_PER_S)
#define LATE_NS  (5 * NS_PER_MS) /* the next tick is at 10 ms, which are free for the pager */
#define SERVERS  8u
#define WRITERS  8u

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
	volatile char *mine = pages_alloc(NEEDED);
	u64 i, began, took, worst = 0;

	report(meeting);
	for (i = 0; i < NEEDED; i++) {
		began = clock_ns();
		mine[i * ABI_PAGE_SIZE] = 1;
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
static u64 last_taken;    /* the page that was taken last */
static u64 late_ns;       /* the delay of answers about pages to take */
static bool takes = true; /* the pager takes its pages back; else it refuses them */
static bool silent;       /* it gives no answer about them */
static volatile char *at; /* where the object is mapped */

static u64 bring(u64 index)
{
	return pager_supply(object, index, page) == -ENOMEM ? ABI_PAGER_NO_MEMORY : ABI_PAGER_DONE;
}

static u64 take(u64 index)
{
	sleep_ns(late_ns);
	if (!takes || pager_take_back(object, index, page))
		return ABI_PAGER_FAILED;
	__atomic_store_n(&last_taken, index, __ATOMIC_RELAXED);
	return ABI_PAGER_DONE;
}

static void serve(u64 arg)
{
	struct message m;
	s64 from;

	while ((from = receive(served_at, &m, ABI_WAIT_FOREVER)) > 0) {
		bool get = m.word[0] == ABI_PAGER_GET;

		if (silent && !get)
			continue;
		m = (struct message){.word = {get ? bring(m.word[1]) : take(m.word[1])}};
		reply((u64)from, &m);
	}
}

static int write_all(u64 handle, u64 pages)
{
	u64 i;

	at = address_for(pages);
	WANT(map(handle, (void *)at, pages, 0, RW), 0);
	for (i = 0; i < pages; i++) {
		WANT(pager_supply(handle, i, page), 0);
		at[i * ABI_PAGE_SIZE] = 1;
	}
	return 0;
}

static void make_pages(u64 pages)
{
	static struct thread server[SERVERS];
	unsigned i;

	served_at = (u64)endpoint_create();
	object = (u64)pager_bind(served_at, pages, 0, NS_PER_S);
	for (i = 0; i < SERVERS; i++)
		WANT(thread_start(&server[i], serve, 0), 0);
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

	make_pages(pages);
	write_all(object, pages);
	takes = taken;
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

/* ---- a slow pager, and a silent one ---- */

/* Wait for the honest task, and make most pages that there are; returns how many. */
static u64 make_most(s64 *honest)
{
	u64 pages = (u64)info(INFO_FREE_PAGES, 0) - LEFT;
	struct message m;

	*honest = receive(hostile_meeting, &m, HOSTILE_NS);
	make_pages(pages);
	return pages;
}

static void write_again(u64 arg)
{
	for (;; sleep_ns(NS_PER_MS))
		at[__atomic_load_n(&last_taken, __ATOMIC_RELAXED) * ABI_PAGE_SIZE] = 1;
}

static void pages_are_taken_slowly_and_written_again(void)
{
	static struct thread writer[WRITERS];
	s64 honest;
	u64 pages = make_most(&honest), i;

	write_all(object, pages);
	late_ns = LATE_NS;
	for (i = 0; i < WRITERS; i++)
		WANT(thread_start(&writer[i], write_again, 0), 0);
	let_go_on(hostile_meeting, honest, 0);
}

/* The pages count for the pager: it is killed for them. */
static void dead_client_of_a_silent_pager_has_written_pages(void)
{
	s64 honest;
	u64 pages = make_most(&honest);

	hostile_expect(write_all, object, pages, TASK_EXITED, 0);
	silent = true;
	let_go_on(hostile_meeting, honest, 0);
}

static const struct hostile_case cases[] = {
    ENDS_WELL_BESIDE(few_pages_that_are_refused, need_memory),
    ENDS_WELL_BESIDE(many_pages_that_are_refused, need_memory),
    ENDS_WELL_BESIDE(few_pages_that_are_taken, need_memory),
    ENDS_WELL_BESIDE(many_pages_that_are_taken, need_memory),
    ENDS_WELL_BESIDE(pages_with_fewer_mappings_are_refused, need_memory),
    ENDS_WELL_BESIDE(pages_are_taken_slowly_and_written_again, need_memory),
    IS_KILLED_BESIDE(dead_client_of_a_silent_pager_has_written_pages, need_memory),
};
/* The first task may let a family have almost all tasks; usually it has half of them. */
static const struct abi_limits limits = {{
    [LIMIT_TASKS] = MAPPERS + 2,
    [LIMIT_TASKS + 1 ... NR_LIMITS - 1] = ABI_LIMIT_INHERIT,
}};
const struct hostile_subject hostile_costly = {"costly", cases, ARRAY_SIZE(cases), true, &limits};
