/* SPDX-License-Identifier: MIT */
/*
 * explore_missing.c: system calls that create something, while one of the resources that they need
 * is missing: small objects, the account's limits, handles, pages. A call that fails leaves nothing
 * behind. The sets are run without preemption.
 *
 * Owns:  the number of failures.
 */
#include "explore_tasks.h"
#include <quarry/mm.h>
#include <quarry/string.h>

#define ATTEMPTS 60

static unsigned failures;

struct maker {
	const char *name;
	s64 (*make)(void);
	void (*undo)(s64 made);
	s64 errors[3]; /* allowed errors of make, besides -ENOMEM */
};

#define MAKER(name, ...)                                                                           \
	static s64 name(void)                                                                      \
	{                                                                                          \
		return CALL(__VA_ARGS__);                                                          \
	}                                                                                          \
	_Static_assert(1, #name)
MAKER(make_endpoint, SYS_ENDPOINT_CREATE);
MAKER(make_object, SYS_OBJECT_CREATE, 1);
MAKER(make_paged, SYS_PAGER_BIND, caller.ep, 1, 0, THREADS_TICK_NS);
MAKER(make_dup, SYS_HANDLE_DUP, caller.ep, RIGHT_SEND);
MAKER(make_mapping, SYS_MAP, caller.object, NOWHERE, 1, 0, ABI_READ);
/* Unmap the middle of three pages, so that the rest becomes two regions. */
MAKER(make_hole, SYS_UNMAP, DATA + PAGE_SIZE, 1);
MAKER(make_protection, SYS_PROTECT, DATA + PAGE_SIZE, 1, ABI_READ);
MAKER(make_thread, SYS_THREAD_CREATE, CODE + PROGRAMS, DATA);
MAKER(make_task, SYS_TASK_CREATE, caller.programs, DATA, 7, caller.send);

static void close_handle(s64 made)
{
	CALL(SYS_HANDLE_CLOSE, (u64)made);
}

static void unmap(s64 made)
{
	CALL(SYS_UNMAP, NOWHERE, 2);
}

static void fill_hole(s64 made)
{
	CALL(SYS_UNMAP, DATA, 3);
	if (CALL(SYS_MAP, caller.object, DATA, 3, 0, ABI_READ | ABI_WRITE))
		panic("the hole cannot be filled");
}

static void nothing(s64 made)
{
}

static void end_child(s64 made)
{
	if (CALL(SYS_TASK_WAIT, (u64)made, FOREVER) != TASK_EXITED)
		panic("the child has not ended by itself");
	close_handle(made);
}

/* A call whose answer brings a handle. */
static s64 make_call(void)
{
	struct syscall_regs r = {.nr = SYS_CALL, .arg = {caller.send, MOST, 1}}, had;
	s64 ret;

	r.arg[ABI_GIVE] = caller.send;
	had = r;
	ret = user_call(&r);
	if (ret < 0 && memcmp(&had, &r, sizeof(r)) != 0)
		call_wrong("SYS_CALL", "a call that fails has changed a register", ret);
	return ret < 0 ? ret : (s64)r.arg[ABI_GIVE];
}

/* No call waits to be received, but SYS_RECEIVE reserves two handles before it finds that out. */
static s64 make_receive(void)
{
	s64 ret = CALL(SYS_RECEIVE, caller.ep, 0);

	return ret == -ETIMEDOUT ? 0 : ret;
}

static const struct maker makers[] = {
    {"SYS_ENDPOINT_CREATE", make_endpoint, close_handle, {-EDQUOT, -EMFILE}},
    {"SYS_OBJECT_CREATE", make_object, close_handle, {-EDQUOT, -EMFILE}},
    {"SYS_PAGER_BIND", make_paged, close_handle, {-EDQUOT, -EMFILE}},
    {"SYS_HANDLE_DUP", make_dup, close_handle, {-EMFILE}},
    {"SYS_MAP", make_mapping, unmap, {-EDQUOT}},
    {"SYS_UNMAP", make_hole, fill_hole, {-EDQUOT}},
    {"SYS_PROTECT", make_protection, fill_hole, {-EDQUOT}},
    {"SYS_THREAD_CREATE", make_thread, nothing, {-EAGAIN}},
    {"SYS_TASK_CREATE", make_task, end_child, {-EAGAIN, -EDQUOT, -EMFILE}},
    {"SYS_CALL", make_call, close_handle, {-EMFILE}},
    {"SYS_RECEIVE", make_receive, nothing, {-EMFILE}},
};

static bool may_fail_with(const struct maker *m, s64 err)
{
	return err == -ENOMEM || err == m->errors[0] || err == m->errors[1] || err == m->errors[2];
}

/*
 * Make the call once; returns true if it succeeded. In either case nothing may be left at the end.
 */
static bool try(const struct maker *m)
{
	unsigned handles = caller.self->caps.nr_used;
	struct kept before;
	const char *what;
	s64 ret;

	call_begin(&before);
	ret = m->make();
	threads_fail_at = 0;
	if (ret >= 0)
		m->undo(ret);
	else if (!may_fail_with(m, ret))
		call_wrong(m->name, "an error that is not documented", ret);
	else
		failures++;
	what = call_settle(&before, handles);
	if (what)
		call_wrong(m->name, what, ret);
	return ret >= 0;
}

static void try_without_objects(const struct maker *m)
{
	unsigned n, i;

	/*
	 * A call may succeed without its n-th allocation, so only a success with n > 20 ends the
	 * loop.
	 */
	for (n = 1; n < ATTEMPTS; n++) {
		threads_fail_at = n;
		if (try(m) && n > 20)
			break;
	}
	for (i = 0; i < NR_ACCOUNT_KINDS; i++) {
		u64 limit = caller.self->account->limit[i];

		for (n = 0; n < ATTEMPTS; n++) {
			caller.self->account->limit[i] = caller.self->account->used[i] + n;
			if (try(m))
				break;
		}
		caller.self->account->limit[i] = limit;
		if (n == ATTEMPTS)
			call_wrong(m->name, "it never works", 0);
	}
}

static void try_without_slots(const struct maker *m)
{
	u64 kept[ABI_MAX_HANDLES];
	unsigned nr = 0, left;
	s64 dup;

	while ((dup = CALL(SYS_HANDLE_DUP, caller.send, RIGHT_SEND)) > 0)
		kept[nr++] = (u64)dup;
	for (left = 0; left < 4; left++) {
		try(m);
		CALL(SYS_HANDLE_CLOSE, kept[--nr]);
	}
	while (nr)
		CALL(SYS_HANDLE_CLOSE, kept[--nr]);
}

/* Allocate all pages, then free one page after each attempt. */
static void try_without_pages(const struct maker *m)
{
	static struct page *hoard[THREADS_PAGES];
	unsigned nr = 0, left;

	while ((hoard[nr] = alloc_pages(GFP_MOVABLE | GFP_NORETRY | GFP_RESERVE, 0)))
		nr++;
	for (left = 0; left < 24; left++) {
		try(m);
		free_pages(hoard[--nr], 0);
	}
	while (nr)
		free_pages(hoard[--nr], 0);
}

static void prepare(void)
{
	call_write_names();
	caller.object = (u64)CALL(SYS_OBJECT_CREATE, 3);
	fill_hole(0);
	call_write_names();
	/*
	 * The first pager allocates memory that all pagers of the task share; it stays allocated.
	 */
	close_handle(make_paged());
}

/* Fewer than @expected failures would mean that nothing was missing. */
static void run_makers(void (*with)(const struct maker *), unsigned expected)
{
	unsigned i;

	prepare();
	failures = 0;
	for (i = 0; i < ARRAY_SIZE(makers); i++)
		with(&makers[i]);
	x.done = failures >= expected;
	CALL(SYS_TASK_KILL, caller.task);
}

static void without(u64 what)
{
	static const struct {
		void (*with)(const struct maker *);
		unsigned expected;
	} missing[] = {{try_without_objects, 50}, {try_without_slots, 8}, {try_without_pages, 20}};

	run_makers(missing[what].with, missing[what].expected);
}

/* Answers each call with a duplicate of the handle it got. */
static void serve_for_ever(u64 receive)
{
	for (;;) {
		struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {receive, MOST}},
		                    reply = {.nr = SYS_REPLY};

		if (user_call(&r))
			break;
		reply.arg[0] = r.arg[0];
		reply.arg[ABI_GIVE] = r.arg[ABI_GIVE];
		user_call(&reply);
		CALL(SYS_HANDLE_CLOSE, r.arg[ABI_GIVE]);
	}
}

static void maker_and_server(unsigned what)
{
	caller_and(serve_for_ever, RIGHT_RECEIVE);
	new_program(caller.self, 1, without, what);
}

void calls_without_objects(void)
{
	maker_and_server(0);
}

void calls_without_slots(void)
{
	maker_and_server(1);
}

void calls_without_pages(void)
{
	maker_and_server(2);
}
