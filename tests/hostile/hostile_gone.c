/* SPDX-License-Identifier: MIT */
/*
 * hostile_gone.c: tasks that are killed in each system call, and while they wait for a page from a
 * silent pager.  Each of them must end soon.
 *
 * Times are guest times.  The cases run under icount, on a small machine with one CPU, and only if
 * chosen by number (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define RW         (ABI_READ | ABI_WRITE)
#define GONE_NS    (100 * NS_PER_MS)
#define BUSY_NS    (20 * NS_PER_MS) /* the time from the start of a task to its kill */
#define NR_THREADS 4u
#define PAGES      1500u /* pages of an object that is filled */

static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));
static u64 silent, unheard; /* endpoints: no thread receives; no thread calls */
static u64 paged;           /* an object whose pager is this task */

static int sleep_a_second(u64 handle, u64 arg)
{
	sleep_ns(NS_PER_S);
	return 0;
}

/* ---- each system call, made to last as long as possible, over and over ---- */

static void in_debug_write(u64 arg)
{
	static char text[ABI_MAX_WRITE];

	memset(text, ' ', sizeof(text));
	for (;;)
		sys(SYS_DEBUG_WRITE, (u64)text, sizeof(text), 0, 0, 0);
}

static void in_exit(u64 arg)
{
	hostile_filled(PAGES);
	exit(0);
}

static void end_thread(u64 arg)
{
	sys(SYS_THREAD_EXIT, 0, 0, 0, 0, 0);
}

static void in_thread_exit(u64 arg)
{
	struct thread t;

	for (;;)
		if (thread_start(&t, end_thread, 0) == 0)
			thread_join(&t);
}

static void in_yield(u64 arg)
{
	for (;;)
		yield();
}

static void in_sleep(u64 arg)
{
	sleep_ns(ABI_WAIT_FOREVER);
}

static void in_clock(u64 arg)
{
	for (;;)
		clock_ns();
}

static void in_info(u64 arg)
{
	for (;;)
		info(INFO_FREE_PAGES, 0);
}

static void in_task_create(u64 arg)
{
	for (;;)
		handle_close((u64)hostile_start(hostile_nothing, 0, 0));
}

static void in_task_wait(u64 arg)
{
	int status;

	for (;;)
		task_wait((u64)hostile_start(sleep_a_second, 0, 0), ABI_WAIT_FOREVER, &status);
}

static void in_task_kill(u64 arg)
{
	for (;;) {
		s64 task = hostile_start(sleep_a_second, 0, 0);

		task_kill((u64)task);
		handle_close((u64)task);
	}
}

static void in_thread_create(u64 arg)
{
	struct thread t;

	for (;;)
		thread_start(&t, in_sleep, 0);
}

static void in_object_create(u64 arg)
{
	for (;;)
		handle_close((u64)object_create(ABI_MAX_PAGES));
}

static void in_map(u64 arg)
{
	u64 object = hostile_filled(PAGES);

	for (;;)
		map(object, address_for(PAGES), PAGES, 0, RW);
}

static void in_unmap(u64 arg)
{
	u64 object = hostile_filled(PAGES), i;
	char *at = address_for(PAGES);

	for (;;) {
		map(object, at, PAGES, 0, RW);
		for (i = 0; i < PAGES; i++)
			at[i * ABI_PAGE_SIZE] = 1;
		unmap(at, PAGES);
	}
}

static void in_protect(u64 arg)
{
	char *at = pages_alloc(PAGES);

	for (;;) {
		memset(at, 1, PAGES * ABI_PAGE_SIZE);
		protect(at, PAGES, ABI_READ);
		protect(at, PAGES, RW);
	}
}

static void in_endpoint_create(u64 arg)
{
	for (;;)
		handle_close((u64)endpoint_create());
}

static void in_call(u64 arg)
{
	struct message m = {.word = {0}};

	call(silent, &m, ABI_WAIT_FOREVER);
}

static void in_receive(u64 arg)
{
	struct message m;

	receive(unheard, &m, ABI_WAIT_FOREVER);
}

static void in_reply(u64 arg)
{
	struct message m = {.word = {0}};

	for (;;)
		reply(silent, &m);
}

static void in_handle_close(u64 arg)
{
	for (;;)
		handle_close(hostile_filled(PAGES));
}

static void in_handle_dup(u64 arg)
{
	for (;;)
		handle_close((u64)handle_dup(silent, RIGHT_SEND));
}

static void in_pager_bind(u64 arg)
{
	for (;;)
		handle_close((u64)pager_bind(unheard, ABI_MAX_PAGES, 0, NS_PER_S));
}

static void in_pager_supply(u64 arg)
{
	u64 i;

	for (i = 0;; i++)
		pager_supply(paged, i % PAGES, source);
}

static void in_pager_take_back(u64 arg)
{
	static char to[NR_THREADS + 1][ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));
	u64 i;

	for (i = 0;; i++) {
		pager_supply(paged, i % PAGES, source);
		pager_take_back(paged, i % PAGES, to[arg]);
	}
}

static void in_pager_drop(u64 arg)
{
	for (;;)
		pager_drop(paged, 0, ABI_MAX_PAGES);
}

static void in_fault_handler(u64 arg)
{
	for (;;)
		fault_handler(silent);
}

static void in_reply_receive(u64 arg)
{
	struct message m = {.word = {0}};

	for (;;)
		reply_receive(silent, unheard, &m, ABI_WAIT_FOREVER);
}

static void in_an_access(u64 arg)
{
	u64 object = (u64)pager_bind(unheard, 1, 0, ABI_MAX_PAGER_NS);
	volatile char *at = address_for(1);

	map(object, (void *)at, 1, 0, RW);
	(void)*at;
}

#define AN_ACCESS NR_SYSCALLS
static void (*const ways[])(u64) = {
    [SYS_DEBUG_WRITE] = in_debug_write,
    [SYS_EXIT] = in_exit,
    [SYS_THREAD_EXIT] = in_thread_exit,
    [SYS_YIELD] = in_yield,
    [SYS_SLEEP] = in_sleep,
    [SYS_CLOCK] = in_clock,
    [SYS_INFO] = in_info,
    [SYS_TASK_CREATE] = in_task_create,
    [SYS_TASK_WAIT] = in_task_wait,
    [SYS_TASK_KILL] = in_task_kill,
    [SYS_THREAD_CREATE] = in_thread_create,
    [SYS_OBJECT_CREATE] = in_object_create,
    [SYS_MAP] = in_map,
    [SYS_UNMAP] = in_unmap,
    [SYS_PROTECT] = in_protect,
    [SYS_ENDPOINT_CREATE] = in_endpoint_create,
    [SYS_CALL] = in_call,
    [SYS_RECEIVE] = in_receive,
    [SYS_REPLY] = in_reply,
    [SYS_HANDLE_CLOSE] = in_handle_close,
    [SYS_HANDLE_DUP] = in_handle_dup,
    [SYS_PAGER_BIND] = in_pager_bind,
    [SYS_PAGER_SUPPLY] = in_pager_supply,
    [SYS_PAGER_TAKE_BACK] = in_pager_take_back,
    [SYS_PAGER_DROP] = in_pager_drop,
    [SYS_FAULT_HANDLER] = in_fault_handler,
    [SYS_REPLY_RECEIVE] = in_reply_receive,
    [AN_ACCESS] = in_an_access,
};

/* arg: the index in ways, and from bit 8 on the number of threads beside the first one. */
static int be_killed(u64 handle, u64 arg)
{
	static struct thread thread[NR_THREADS];
	unsigned i;

	programs = handle;
	silent = (u64)endpoint_create();
	unheard = (u64)endpoint_create();
	paged = (u64)pager_bind(unheard, ABI_MAX_PAGES, 0, NS_PER_S);
	for (i = 0; i < arg >> 8; i++)
		WANT(thread_start(&thread[i], ways[arg & 0xff], i + 1), 0);
	ways[arg & 0xff](0);
	return 99;
}

/* Kill a task in the call @way; returns the time from the kill to the task's end. */
static u64 killed_in(u64 way, u64 threads)
{
	s64 task = hostile_start(be_killed, programs, way | threads << 8), how;
	u64 began;
	int status;

	WANT(task > 0, 1);
	sleep_ns(BUSY_NS);
	began = clock_ns();
	task_kill((u64)task);
	how = hostile_end(task, &status);
	WANT(how, way == SYS_EXIT && how == TASK_EXITED ? how : TASK_KILLED);
	return clock_ns() - began;
}

static void in_each_call(u64 threads)
{
	u64 way, took, longest = 0;

	WANT(ARRAY_SIZE(ways), NR_SYSCALLS + 1);
	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		WANT(ways[way] != NULL, 1);
		took = ways[way] ? killed_in(way, threads) : 0;
		if (took > GONE_NS)
			printf("call %lu: gone after %lu ms\n", (unsigned long)way,
			    (unsigned long)(took / NS_PER_MS));
		WANT(took <= GONE_NS, 1);
		longest = took > longest ? took : longest;
		/* Wait for the task's descendants too: they end by themselves. */
		while (info(INFO_USED, LIMIT_TASKS))
			sleep_ns(BUSY_NS);
	}
	printf("killed in each call: gone after at most %lu us\n", (unsigned long)(longest / 1000));
}

static void task_is_killed_in_each_system_call(void)
{
	in_each_call(0);
}

static void task_of_many_threads_is_killed_in_each_system_call(void)
{
	in_each_call(NR_THREADS);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(task_is_killed_in_each_system_call),
    ENDS_WELL(task_of_many_threads_is_killed_in_each_system_call),
};
const struct hostile_subject hostile_gone = SUBJECT_ALONE("gone", cases);
