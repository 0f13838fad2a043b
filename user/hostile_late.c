/* SPDX-License-Identifier: MIT */
/*
 * hostile_late.c: tasks that touch pages of a good pager with little time left. The time of another
 * task, or of another access, must not be cut by that.
 *
 * The cases measure guest time, and run only if chosen by number (tests/qemu/test_hostile.py).
 */
#include "hostile.h"

#define PAGES    4u
#define LIMIT_NS (200 * NS_PER_MS) /* of the good pager's object */
#define TAKES_NS (60 * NS_PER_MS)  /* the good pager's time for a page */
#define LONG_NS  (10 * NS_PER_S)   /* no more than ABI_MAX_PAGER_NS */
#define RW       (ABI_READ | ABI_WRITE)

static char source[ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));
static struct thread server;
static u64 endpoint, object; /* of this task as a pager */
static char *at;             /* where its object is mapped */
static u64 takes;

static void supply(s64 from, struct message *m)
{
	pager_supply(object, m->word[1], source);
	*m = (struct message){.word = {ABI_PAGER_DONE}};
	reply((u64)from, m);
}

static void serve(u64 arg)
{
	struct message m;
	s64 from;

	while ((from = receive(endpoint, &m, LONG_NS)) > 0) {
		sleep_ns(takes);
		supply(from, &m);
	}
}

static void unmap_and_serve(u64 arg)
{
	struct message m;
	s64 from = receive(endpoint, &m, LONG_NS);

	unmap(at, 1);
	supply(from, &m);
}

static void be_pager(u64 timeout_ns, void (*serves)(u64))
{
	endpoint = (u64)endpoint_create();
	object = (u64)pager_bind(endpoint, PAGES, 0, timeout_ns);
	WANT(thread_start(&server, serves, 0), 0);
}

static char *map_there(u64 handle)
{
	char *there = address_for(PAGES);

	WANT(map(handle, there, PAGES, 0, RW), 0);
	return there;
}

static void touch(u64 address)
{
	(void)*(volatile char *)address;
}

/*
 * A system call of this thread accesses a page, which this task's pager unmaps before it supplies
 * it: the call fails, and its access has ended.
 */
static void let_a_call_fail(u64 timeout_ns)
{
	be_pager(timeout_ns, unmap_and_serve);
	at = map_there(object);
	WANT(sys(SYS_DEBUG_WRITE, (u64)at, 1, 0, 0, 0), -EFAULT);
	thread_join(&server);
}

static void access_has_its_own_time_after_a_failed_call(void)
{
	let_a_call_fail(LIMIT_NS);
	WANT(thread_start(&server, serve, 0), 0);
	sleep_ns(LIMIT_NS + TAKES_NS);
	touch((u64)at + ABI_PAGE_SIZE);
}

/* ---- two tasks and one page ---- */

/* Touch the page when almost all of the time since a failed call is over. */
static int touch_late(u64 handle, u64 arg)
{
	u64 there = (u64)map_there(handle), began = clock_ns();

	let_a_call_fail(LONG_NS);
	sleep_ns(began + LIMIT_NS - TAKES_NS / 2 - clock_ns());
	touch(there + ABI_PAGE_SIZE);
	return 0;
}

static int touch_after(u64 handle, u64 ns)
{
	u64 there = (u64)map_there(handle);

	sleep_ns(ns);
	touch(there + ABI_PAGE_SIZE);
	return 0;
}

/* One task does as @role says; another one, which touches the page @ns later, must get it. */
static void beside(hostile_role *role, u64 ns)
{
	u64 client;
	s64 bad, innocent;
	int status;

	takes = TAKES_NS;
	be_pager(LIMIT_NS, serve);
	client = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	bad = hostile_start(role, client, 0);
	innocent = hostile_start(touch_after, client, ns);
	WANT(hostile_end(innocent, &status), TASK_EXITED);
	WANT(status, 0);
	task_kill((u64)bad);
	hostile_end(bad, &status);
}

static void late_access_of_another_task_cuts_no_time(void)
{
	beside(touch_late, LIMIT_NS - TAKES_NS / 4);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(access_has_its_own_time_after_a_failed_call),
    ENDS_WELL(late_access_of_another_task_cuts_no_time),
};
const struct hostile_subject hostile_late = SUBJECT_ALONE("late", cases);
