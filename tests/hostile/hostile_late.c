/* SPDX-License-Identifier: MIT */
/*
 * hostile_late.c: tasks that touch pages of a good pager with little time left. The time of another
 * task, or of another access, must not be cut by that.
 *
 * The cases measure guest time, and run only if chosen by number (tests/qemu/test_hostile.py).
 */
#include "tests/hostile/hostile.h"

#define PAGES    4u
#define BEHIND   2000u /* pages behind these, for readers of another family */
#define READERS  20u
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
	object = (u64)pager_bind(endpoint, PAGES + BEHIND, 0, timeout_ns);
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

/* ---- a family with many readers, and a reader of another one ---- */

static void read_behind(u64 first)
{
	u64 page;

	for (page = first; page < BEHIND; page += READERS)
		touch((u64)at + page * ABI_PAGE_SIZE);
}

/* This family has READERS requests at the pager until the case ends. */
static int read_much(u64 handle, u64 arg)
{
	static struct thread reader[READERS];
	struct message m = {.word = {0}};
	unsigned i;

	WANT(call(handle, &m, HOSTILE_NS), 0);
	at = address_for(BEHIND);
	WANT(map(m.handle, at, BEHIND, PAGES, ABI_READ), 0);
	for (i = 0; i < READERS; i++)
		WANT(thread_start(&reader[i], read_behind, i), 0);
	sleep_ns(2 * TAKES_NS);
	m = (struct message){.word = {0}};
	WANT(call(handle, &m, HOSTILE_NS), 0);
	return 0;
}

/* The page that is being brought, one for the readers, its own; or a few more. */
static int touch_in_turn(u64 handle, u64 arg)
{
	u64 there = (u64)map_there(handle), began = clock_ns();

	touch(there);
	WANT(clock_ns() - began < 6 * TAKES_NS, 1);
	return 0;
}

static void many_readers_of_another_family_delay_a_page_by_one(void)
{
	struct message m;
	s64 from, innocent;
	u64 client;
	int status;

	takes = TAKES_NS;
	be_pager(LONG_NS, serve);
	client = (u64)handle_dup(object, RIGHT_READ | RIGHT_WRITE | RIGHT_DUP);
	from = receive(hostile_meeting, &m, HOSTILE_NS);
	m = (struct message){.handle = (u64)handle_dup(client, RIGHT_READ | RIGHT_DUP)};
	WANT(reply((u64)from, &m), 0);
	from = receive(hostile_meeting, &m, HOSTILE_NS);
	innocent = hostile_start(touch_in_turn, client, 0);
	WANT(hostile_end(innocent, &status), TASK_EXITED);
	WANT(status, 0);
	WANT(reply((u64)from, &(struct message){.word = {0}}), 0);
}

static const struct hostile_case cases[] = {
    ENDS_WELL(access_has_its_own_time_after_a_failed_call),
    ENDS_WELL(late_access_of_another_task_cuts_no_time),
    ENDS_WELL_BESIDE(many_readers_of_another_family_delay_a_page_by_one, read_much),
};
const struct hostile_subject hostile_late = SUBJECT_ALONE("late", cases);
