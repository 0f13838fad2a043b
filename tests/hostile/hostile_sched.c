/* SPDX-License-Identifier: MIT */
/*
 * hostile_sched.c: tasks that try to keep the CPU, beside a task that sleeps for 10 ms at a time.
 *
 * Times are guest times.  The cases run under icount, on one CPU, and only if chosen by number
 * (tests/qemu/test_hostile.py).  The limits are those of tests/suites/kernel/test_fair.c: beside
 * one task, and beside many.
 */
#include "tests/hostile/hostile.h"

#define NAPS       4u
#define NAP_NS     (10 * NS_PER_MS)
#define ONE_MS     50  /* the longest nap beside one task, however it uses its threads */
#define MANY_MS    200 /* the longest nap beside as many tasks as a task may start */
#define NR_TASKS   12u
#define NR_THREADS (ABI_MAX_THREADS - 1) /* beside a task's first thread */
#define RACE_NS    (400 * NS_PER_MS)
#define COMPUTE_NS (2 * NS_PER_S)
#define STACK      4096u

static struct thread threads[NR_THREADS];
static u32 go; /* 1: the threads of this task may begin */

static void wait_for_go(void)
{
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		sleep_ns(5 * NS_PER_MS);
}

/* ---- ways of a thread to keep the CPU ---- */

static void spin(u64 arg)
{
	wait_for_go();
	for (;;)
		__asm__ volatile("pause");
}

/* Compute for most of a tick, and sleep when the tick comes. */
static void spin_and_sleep(u64 arg)
{
	wait_for_go();
	for (;;) {
		u64 began = clock_ns();

		while (clock_ns() - began < NAP_NS * 9 / 10)
			;
		sleep_ns(NS_PER_MS / 2);
	}
}

static void give_way(u64 arg)
{
	wait_for_go();
	for (;;)
		yield();
}

/* Pairs of threads that wake each other. */
static void call_and_answer(u64 arg)
{
	static s64 endpoint[NR_THREADS];
	struct message m = {.word = {0}};

	if (arg % 2 == 0)
		endpoint[arg] = endpoint_create();
	wait_for_go();
	for (;;) {
		if (arg % 2) {
			call((u64)endpoint[arg - 1], &m, ABI_WAIT_FOREVER);
		} else {
			s64 from = receive((u64)endpoint[arg], &m, ABI_WAIT_FOREVER);

			reply((u64)from, &m);
		}
	}
}

/* Make system calls that take long. */
static void map_and_unmap(u64 arg)
{
	s64 object = object_create(512);
	char *at = address_for(512);

	wait_for_go();
	for (;;) {
		map((u64)object, at, 512, 0, ABI_READ | ABI_WRITE);
		memset(at, 1, 64 * ABI_PAGE_SIZE);
		unmap(at, 512);
	}
}

static void (*const ways[])(u64) = {spin, spin_and_sleep, give_way, call_and_answer, map_and_unmap};
enum way { SPIN, SPIN_AND_SLEEP, GIVE_WAY, CALL_AND_ANSWER, MAP_AND_UNMAP };

/* ---- hogs: each reports, and begins after the answer ---- */

/* Report; the answer brings the capability to start programs.  Then the threads may begin. */
static void wait_for_begin(u64 handle)
{
	struct message m = {.word = {0}};

	WANT(call(handle, &m, HOSTILE_NS), 0);
	programs = m.handle;
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
}

/* arg: the way, and from bit 8 on the number of threads beside the first one, which sleeps. */
static int hog(u64 handle, u64 arg)
{
	unsigned i;

	for (i = 0; i < arg >> 8; i++)
		WANT(thread_start(&threads[i], ways[arg & 0xff], i), 0);
	wait_for_begin(handle);
	sleep_ns(ABI_WAIT_FOREVER);
	return 99;
}

static void flash(u32 *done)
{
	__atomic_store_n(done, 1, __ATOMIC_RELEASE);
	sys(SYS_THREAD_EXIT, 0, 0, 0, 0, 0);
}

/* Start threads that end at once, each on a stack that was used eight threads earlier. */
static int start_threads(u64 handle, u64 arg)
{
	static char stack[8][STACK] __attribute__((aligned(16)));
	static u32 done[8];
	unsigned i;

	wait_for_begin(handle);
	for (i = 0;; i = (i + 1) % 8) {
		__atomic_store_n(&done[i], 0, __ATOMIC_RELEASE);
		if (sys(SYS_THREAD_CREATE, (u64)flash, (u64)stack[i] + STACK - 8, (u64)&done[i], 0,
		        0) < 0)
			continue;
		while (!__atomic_load_n(&done[i], __ATOMIC_ACQUIRE))
			yield();
	}
	return 99;
}

static int start_tasks(u64 handle, u64 arg)
{
	wait_for_begin(handle);
	for (;;)
		handle_close((u64)hostile_start(hostile_nothing, 0, 0));
	return 99;
}

static void drop_empty_slots(u64 object)
{
	for (;;)
		pager_drop(object, 0, ABI_MAX_PAGES);
}

/* A task whose threads are in long system calls. */
static int call_for_long(u64 handle, u64 arg)
{
	u64 object = (u64)pager_bind((u64)endpoint_create(), ABI_MAX_PAGES, 0, NS_PER_S);
	unsigned i;

	for (i = 0; i < NR_THREADS; i++)
		thread_start(&threads[i], drop_empty_slots, object);
	/* End by itself: the last such task may outlive the task that would kill it. */
	sleep_ns(100 * NAP_NS);
	return 0;
}

static int kill_such_tasks(u64 handle, u64 arg)
{
	int status;

	wait_for_begin(handle);
	for (;;) {
		s64 task = hostile_start(call_for_long, 0, 0);

		sleep_ns(30 * NAP_NS);
		task_kill((u64)task);
		hostile_end(task, &status);
	}
	return 99;
}

/* Start two tasks that do the same, and compute until @until. */
static int branch(u64 handle, u64 until)
{
	programs = handle;
	handle_close((u64)hostile_start(branch, programs, until));
	handle_close((u64)hostile_start(branch, programs, until));
	while (clock_ns() < until)
		;
	return 0;
}

static int tree(u64 handle, u64 arg)
{
	wait_for_begin(handle);
	return branch(programs, clock_ns() + 10 * RACE_NS);
}

/* ---- the innocent task ---- */

/* Returns the longest of its naps, in ms. */
static int nap(u64 handle, u64 arg)
{
	u64 longest = 0;
	unsigned i;

	wait_for_begin(handle);
	for (i = 0; i < NAPS; i++) {
		u64 began = clock_ns(), took;

		sleep_ns(NAP_NS);
		took = clock_ns() - began;
		longest = took > longest ? took : longest;
	}
	return (int)(longest / NS_PER_MS);
}

/* Returns the longest time for which it does not compute, in ms. */
static int compute(u64 handle, u64 arg)
{
	u64 end, last, longest = 0;

	wait_for_begin(handle);
	last = clock_ns();
	end = last + COMPUTE_NS;
	while (last < end) {
		u64 now = clock_ns();

		longest = now - last > longest ? now - last : longest;
		last = now;
	}
	return (int)(longest / NS_PER_MS);
}

/*
 * Run an innocent task, nap or compute, beside @nr tasks of @role, which must end as @how.  The
 * innocent task's longest pause must be at most @limit_ms.
 */
static void get_on(hostile_role *innocent_role, hostile_role *role, u64 arg, unsigned nr,
    int limit_ms, enum task_end how)
{
	const struct message begin = {.handle = programs};
	s64 endpoint = endpoint_create(), task[NR_TASKS], from[NR_TASKS], innocent, first;
	struct message m;
	int ms, status;
	unsigned i;

	for (i = 0; i < nr; i++)
		task[i] = hostile_hear((u64)endpoint, role, arg, &m, &from[i]);
	innocent = hostile_hear((u64)endpoint, innocent_role, 0, &m, &first);
	for (i = 0; i < nr; i++)
		WANT(reply((u64)from[i], &begin), 0);
	/* Wait until all @nr tasks are running. */
	sleep_ns(10 * NAP_NS);
	WANT(reply((u64)first, &begin), 0);
	WANT(hostile_end(innocent, &ms), TASK_EXITED);
	printf("the longest %s: %d ms, of at most %d\n",
	    innocent_role == nap ? "nap of 10 ms" : "pause", ms, limit_ms);
	WANT(ms <= limit_ms, 1);
	for (i = 0; i < nr; i++) {
		if (how == TASK_KILLED)
			WANT(task_kill((u64)task[i]), 0);
		WANT(hostile_end(task[i], &status), how);
	}
	/* Wait for the tasks' descendants too. */
	for (i = 0; i < 1000 && info(INFO_USED, LIMIT_TASKS); i++)
		sleep_ns(NAP_NS);
	WANT(info(INFO_USED, LIMIT_TASKS), 0);
}

static void nap_beside(hostile_role *role, u64 arg, unsigned nr, int limit_ms, enum task_end how)
{
	get_on(nap, role, arg, nr, limit_ms, how);
}

static void beside_one(enum way way, unsigned nr)
{
	nap_beside(hog, way | (u64)nr << 8, 1, ONE_MS, TASK_KILLED);
}

/* ---- cases ---- */

static void one_task_of_64_threads_computes(void)
{
	beside_one(SPIN, NR_THREADS);
}

static void one_task_sleeps_over_each_tick(void)
{
	beside_one(SPIN_AND_SLEEP, NR_THREADS);
}

static void one_task_gives_way_all_the_time(void)
{
	beside_one(GIVE_WAY, NR_THREADS);
}

static void threads_of_one_task_wake_each_other(void)
{
	beside_one(CALL_AND_ANSWER, NR_THREADS - 1);
}

static void one_task_keeps_the_kernel_busy(void)
{
	beside_one(MAP_AND_UNMAP, 16);
}

static void one_task_starts_and_ends_threads(void)
{
	nap_beside(start_threads, 0, 1, ONE_MS, TASK_KILLED);
}

static void one_task_starts_and_ends_tasks(void)
{
	nap_beside(start_tasks, 0, 1, MANY_MS, TASK_KILLED);
}

static void two_tasks_kill_tasks_in_long_calls(void)
{
	get_on(compute, kill_such_tasks, 0, 2, MANY_MS, TASK_KILLED);
}

static void many_tasks_of_many_threads_compute(void)
{
	nap_beside(hog, SPIN | 16 << 8, NR_TASKS, MANY_MS, TASK_KILLED);
}

static void many_tasks_sleep_over_each_tick(void)
{
	nap_beside(hog, SPIN_AND_SLEEP | 8 << 8, NR_TASKS, MANY_MS, TASK_KILLED);
}

static void many_tasks_give_way_all_the_time(void)
{
	nap_beside(hog, GIVE_WAY | 8 << 8, NR_TASKS, MANY_MS, TASK_KILLED);
}

static void a_family_of_tasks_grows_and_computes(void)
{
	nap_beside(tree, 0, 1, MANY_MS, TASK_EXITED);
}

/* ---- shares ---- */

static u64 counted, race_end;

static void count_alone(u64 arg)
{
	while (clock_ns() < race_end)
		__atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED);
}

/* Sleep before the tick that would end the turn; a woken thread runs first. */
static void count_and_sleep(u64 arg)
{
	while (clock_ns() < race_end) {
		u64 began = clock_ns();

		while (clock_ns() - began < NAP_NS * 9 / 10)
			__atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED);
		sleep_ns(NS_PER_MS / 2);
	}
}

/*
 * Count for RACE_NS; the exit status is the result.  @arg: in bit 0 the method, from bit 1 on the
 * number of threads.
 */
static int race(u64 handle, u64 arg)
{
	void (*way)(u64) = arg & 1 ? count_and_sleep : count_alone;
	unsigned i;

	wait_for_begin(handle);
	race_end = clock_ns() + RACE_NS;
	for (i = 0; i + 1 < arg >> 1; i++)
		WANT(thread_start(&threads[i], way, 0), 0);
	way(0);
	return (int)(counted / 10);
}

/*
 * Check that a second task, with the method and threads of @arg, gets at most 3.5 times as much of
 * the CPU as a task with one thread that computes.
 */
static void compare_with(u64 arg)
{
	const struct message begin = {.handle = programs};
	s64 endpoint = endpoint_create(), task[2], from[2];
	struct message m;
	int far[2];
	unsigned i;

	for (i = 0; i < 2; i++)
		task[i] = hostile_hear((u64)endpoint, race, i ? arg : 2, &m, &from[i]);
	for (i = 0; i < 2; i++)
		WANT(reply((u64)from[i], &begin), 0);
	for (i = 0; i < 2; i++)
		WANT(hostile_end(task[i], &far[i]), TASK_EXITED);
	printf("it came %d %% as far as an honest one\n", far[1] * 100 / (far[0] + 1));
	WANT(far[1] <= far[0] * 7 / 2, 1);
}

static void sleeping_over_each_tick_gains_two_turns(void)
{
	compare_with(1 << 1 | 1);
}

static void sleeping_in_many_threads_gains_no_more(void)
{
	compare_with(16 << 1 | 1);
}

static void computing_in_many_threads_gains_nothing(void)
{
	compare_with(32 << 1);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(one_task_of_64_threads_computes),
    ENDS_WELL(one_task_sleeps_over_each_tick),
    ENDS_WELL(one_task_gives_way_all_the_time),
    ENDS_WELL(threads_of_one_task_wake_each_other),
    ENDS_WELL(one_task_keeps_the_kernel_busy),
    ENDS_WELL(one_task_starts_and_ends_threads),
    ENDS_WELL(one_task_starts_and_ends_tasks),
    ENDS_WELL(two_tasks_kill_tasks_in_long_calls),
    ENDS_WELL(many_tasks_of_many_threads_compute),
    ENDS_WELL(many_tasks_sleep_over_each_tick),
    ENDS_WELL(many_tasks_give_way_all_the_time),
    ENDS_WELL(a_family_of_tasks_grows_and_computes),
    ENDS_WELL(sleeping_over_each_tick_gains_two_turns),
    ENDS_WELL(sleeping_in_many_threads_gains_no_more),
    ENDS_WELL(computing_in_many_threads_gains_nothing),
};
const struct hostile_subject hostile_sched = SUBJECT_ALONE("sched", cases);
