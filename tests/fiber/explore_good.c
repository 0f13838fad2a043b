/* SPDX-License-Identifier: MIT */
/*
 * explore_good.c: system calls with good arguments: the result of each, the registers it changes,
 * the rights of its handles, and its counts. The sets are run without preemption.
 *
 * Owns:  the record of the message server, and the printed text.
 */
#include "explore_tasks.h"
#include <quarry/errno.h>
#include <quarry/mm.h>
#include <quarry/string.h>
#include <stdio.h>

#define WINDOW 0x700000UL
#define OTHER  0x800000UL

/* The call gives @want, and changes no register. */
#define GIVES(want, number, ...)                                                                   \
	gives(#number " " #__VA_ARGS__, want,                                                      \
	    &(struct syscall_regs){.nr = (number), .arg = {__VA_ARGS__}})
/* The call gives one more handle, with @rights, and changes no register. */
#define MAKES(rights, number, ...)                                                                 \
	makes(#number " " #__VA_ARGS__, rights,                                                    \
	    &(struct syscall_regs){.nr = (number), .arg = {__VA_ARGS__}})

static s64 unchanged(const char *call, struct syscall_regs *r)
{
	struct syscall_regs had = *r;
	s64 ret = user_call(r);

	if (memcmp(&had, r, sizeof(had)) != 0)
		call_wrong(call, "a register has changed", ret);
	return ret;
}

static void gives(const char *call, s64 want, struct syscall_regs *r)
{
	s64 ret = unchanged(call, r);

	if (ret != want)
		call_wrong(call, "another result than documented", ret);
}

static u64 makes(const char *call, s64 rights, struct syscall_regs *r)
{
	s64 handles = CALL(SYS_INFO, INFO_HANDLES), ret = unchanged(call, r);

	if (ret <= 0)
		call_wrong(call, "no handle", ret);
	if (CALL(SYS_INFO, INFO_RIGHTS, (u64)ret) != rights)
		call_wrong(
		    call, "other rights than documented", CALL(SYS_INFO, INFO_RIGHTS, (u64)ret));
	if (CALL(SYS_INFO, INFO_HANDLES) != handles + 1)
		call_wrong(call, "not one more handle", CALL(SYS_INFO, INFO_HANDLES));
	return (u64)ret;
}

/* ---- objects at the start ---- */

static void informs(void)
{
	const struct task *self = caller.self;
	unsigned i;
	s64 now;

	GIVES(THREADS_CPUS, SYS_INFO, INFO_CPUS);
	GIVES(1, SYS_INFO, INFO_CPU);
	GIVES((s64)memory_free_pages(&kernel_memory), SYS_INFO, INFO_FREE_PAGES);
	GIVES(self->id, SYS_INFO, INFO_TASK);
	GIVES(1, SYS_INFO, INFO_THREADS);
	GIVES(self->caps.nr_used, SYS_INFO, INFO_HANDLES);
	GIVES(2, SYS_INFO, INFO_OBJECT_PAGES, caller.object);
	GIVES(2, SYS_INFO, INFO_OBJECT_PRESENT, caller.object);
	GIVES(RIGHT_SEND | RIGHT_DUP, SYS_INFO, INFO_RIGHTS, caller.send);
	GIVES(RIGHT_EXEC, SYS_INFO, INFO_RIGHTS, caller.programs);
	for (i = 0; i < NR_LIMITS; i++) {
		static const enum account_kind kind[NR_LIMITS] = {ACCOUNT_TASKS, ACCOUNT_THREADS,
		    ACCOUNT_OBJECTS, ACCOUNT_REGIONS, ACCOUNT_TABLES, ACCOUNT_ENDPOINTS};

		GIVES((s64)self->account->limit[kind[i]], SYS_INFO, INFO_LIMIT, i);
		GIVES((s64)self->account->used[kind[i]], SYS_INFO, INFO_USED, i);
	}
	now = CALL(SYS_CLOCK);
	GIVES(0, SYS_SLEEP, 3 * THREADS_TICK_NS);
	CHECK(CALL(SYS_CLOCK) - now >= (s64)(3 * THREADS_TICK_NS));
	CHECK(CALL(SYS_CLOCK) - now < (s64)(6 * THREADS_TICK_NS));
	now = CALL(SYS_CLOCK);
	GIVES(0, SYS_SLEEP, 0);
	GIVES(0, SYS_YIELD);
	CHECK(CALL(SYS_CLOCK) - now < (s64)(2 * THREADS_TICK_NS));
}

/* ---- handles ---- */

static s64 used(enum abi_limit which)
{
	return CALL(SYS_INFO, INFO_USED, which);
}

static void handles(void)
{
	const u64 all = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC | RIGHT_DUP;
	s64 endpoints = used(LIMIT_ENDPOINTS), objects = used(LIMIT_OBJECTS);
	u64 made[4], right;
	unsigned i;

	made[0] = MAKES(RIGHT_SEND | RIGHT_RECEIVE | RIGHT_DUP, SYS_ENDPOINT_CREATE);
	made[1] = MAKES((s64)all, SYS_OBJECT_CREATE, 3);
	made[2] = MAKES((s64)all | RIGHT_SUPPLY, SYS_PAGER_BIND, made[0], 5, 0, THREADS_TICK_NS);
	made[3] =
	    MAKES(RIGHT_WAIT | RIGHT_KILL | RIGHT_DUP, SYS_TASK_CREATE, caller.programs, DATA, 7);
	CHECK(used(LIMIT_ENDPOINTS) == endpoints + 1);
	CHECK(used(LIMIT_OBJECTS) >= objects + 2);
	GIVES(3, SYS_INFO, INFO_OBJECT_PAGES, made[1]);
	GIVES(0, SYS_INFO, INFO_OBJECT_PRESENT, made[1]);
	GIVES(5, SYS_INFO, INFO_OBJECT_PAGES, made[2]);
	/* A duplicate has the requested rights, for the whole object. */
	for (right = 1; right <= RIGHTS_ALL; right <<= 1) {
		if (right & all)
			GIVES(
			    0, SYS_HANDLE_CLOSE, MAKES((s64)right, SYS_HANDLE_DUP, made[1], right));
		else
			GIVES(-EACCES, SYS_HANDLE_DUP, made[1], right);
	}
	GIVES(0, SYS_HANDLE_CLOSE, MAKES((s64)all, SYS_HANDLE_DUP, made[1], all));
	GIVES(0, SYS_HANDLE_CLOSE, MAKES(0, SYS_HANDLE_DUP, made[1], 0));
	for (i = 0; i < 4; i++) {
		GIVES(0, SYS_HANDLE_CLOSE, made[i]);
		GIVES(-EBADF, SYS_HANDLE_CLOSE, made[i]);
		GIVES(-EBADF, SYS_INFO, INFO_RIGHTS, made[i]);
	}
	CHECK(used(LIMIT_ENDPOINTS) == endpoints);
}

/* ---- memory ---- */

/* Map by a handle with @rights: SYS_MAP and SYS_PROTECT allow the protections of these rights. */
static void protections(u64 object, u64 rights)
{
	static const u64 sound[] = {ABI_READ, ABI_READ | ABI_WRITE, ABI_READ | ABI_EXEC};
	u64 handle = MAKES((s64)rights, SYS_HANDLE_DUP, object, rights);
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sound); i++)
		if (sound[i] & ~rights)
			GIVES(-EACCES, SYS_MAP, handle, WINDOW, 1, 0, sound[i]);
	GIVES(0, SYS_MAP, handle, WINDOW, 1, 0, ABI_READ);
	for (i = 0; i < ARRAY_SIZE(sound); i++)
		GIVES(sound[i] & ~rights ? -EACCES : 0, SYS_PROTECT, WINDOW, 1, sound[i]);
	GIVES(0, SYS_UNMAP, WINDOW, 1);
	for (i = 0; i < ARRAY_SIZE(sound); i++) {
		if (sound[i] & ~rights)
			continue;
		GIVES(0, SYS_MAP, handle, WINDOW, 1, 0, sound[i]);
		GIVES(0, SYS_UNMAP, WINDOW, 1);
	}
	GIVES(0, SYS_HANDLE_CLOSE, handle);
}

static void memory(void)
{
	s64 regions = used(LIMIT_REGIONS);
	u64 object = (u64)CALL(SYS_OBJECT_CREATE, 4), paged;

	protections(object, RIGHT_READ);
	protections(object, RIGHT_READ | RIGHT_WRITE);
	protections(object, RIGHT_READ | RIGHT_EXEC);
	protections(object, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC);
	CHECK(used(LIMIT_REGIONS) == regions);
	/* Map two pages, from the third on, and then all four pages: both mappings share pages. */
	GIVES(0, SYS_MAP, object, WINDOW, 2, 2, ABI_READ | ABI_WRITE);
	GIVES(0, SYS_MAP, object, OTHER, 4, 0, ABI_READ | ABI_WRITE);
	CHECK(used(LIMIT_REGIONS) == regions + 2);
	user_store(WINDOW, 11);
	user_store(WINDOW + PAGE_SIZE, 12);
	CHECK(user_load(OTHER + 2 * PAGE_SIZE) == 11 && user_load(OTHER + 3 * PAGE_SIZE) == 12);
	GIVES(2, SYS_INFO, INFO_OBJECT_PRESENT, object);
	GIVES(0, SYS_UNMAP, WINDOW, 2);
	GIVES(0, SYS_UNMAP, OTHER, 4);
	GIVES(0, SYS_HANDLE_CLOSE, object);
	/* Pages of a pager: a supplied page is mapped until it is dropped. */
	paged = (u64)CALL(SYS_PAGER_BIND, caller.ep, 3, 0, THREADS_TICK_NS);
	GIVES(0, SYS_MAP, paged, WINDOW, 3, 0, ABI_READ | ABI_WRITE);
	user_store(DATA + PAGE_SIZE, 13);
	GIVES(0, SYS_PAGER_SUPPLY, paged, 1, DATA + PAGE_SIZE);
	GIVES(-EEXIST, SYS_PAGER_SUPPLY, paged, 1, DATA + PAGE_SIZE);
	GIVES(0, SYS_PAGER_SUPPLY, paged, 2, DATA + PAGE_SIZE);
	GIVES(2, SYS_INFO, INFO_OBJECT_PRESENT, paged);
	CHECK(user_load(WINDOW + PAGE_SIZE) == 13);
	GIVES(-ENOENT, SYS_PAGER_TAKE_BACK, paged, 1, DATA + PAGE_SIZE);
	GIVES(0, SYS_PAGER_DROP, paged, 0, 2);
	GIVES(1, SYS_INFO, INFO_OBJECT_PRESENT, paged);
	GIVES(0, SYS_PAGER_DROP, paged, 0, 3);
	GIVES(0, SYS_INFO, INFO_OBJECT_PRESENT, paged);
	GIVES(0, SYS_UNMAP, WINDOW, 3);
	GIVES(0, SYS_HANDLE_CLOSE, paged);
}

/* ---- messages ---- */

#define EXIT_WORD 99

static struct {
	unsigned calls;
	u64 rights; /* rights of the last gift; 0: there was none */
} served;

/* A call without a handle is answered by the system call that takes the next call. */
static bool in_one_step(const struct syscall_regs *r)
{
	return !r->arg[ABI_GIVE] && r->arg[ABI_WORD0] != EXIT_WORD;
}

static s64 take_next(struct syscall_regs *r, u64 receive)
{
	u64 answered = r->arg[0];
	unsigned i;
	s64 err;

	if (!in_one_step(r)) {
		*r = (struct syscall_regs){.nr = SYS_RECEIVE, .arg = {receive, MOST}};
		return user_call(r);
	}
	r->nr = SYS_REPLY_RECEIVE;
	r->arg[1] = receive;
	for (i = 0; i < ABI_WORDS; i++)
		r->arg[ABI_WORD0 + i] += 10;
	r->arg[ABI_GIVE] = MOST;
	err = user_call(r);
	CHECK(err || r->arg[0] != answered);
	CHECK(err || CALL(SYS_REPLY, answered) == -EBADF);
	return err;
}

/*
 * Answer each call with its words plus 10, and with a duplicate of its handle, with the rights to
 * send and duplicate.
 */
static void answer(u64 receive)
{
	struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {receive, MOST}};
	s64 err = user_call(&r);

	for (; !err; err = take_next(&r, receive)) {
		struct syscall_regs reply = {.nr = SYS_REPLY};
		unsigned i;

		served.calls++;
		CHECK(r.arg[1] == (r.nr == SYS_RECEIVE ? MOST : receive));
		/* arg[0] is a reply's handle, whose rights cannot be read */
		CHECK(CALL(SYS_INFO, INFO_RIGHTS, r.arg[0]) == -EACCES);
		reply.arg[0] = r.arg[0];
		for (i = 0; i < ABI_WORDS; i++)
			reply.arg[ABI_WORD0 + i] = r.arg[ABI_WORD0 + i] + 10;
		served.rights =
		    r.arg[ABI_GIVE] ? (u64)CALL(SYS_INFO, INFO_RIGHTS, r.arg[ABI_GIVE]) : 0;
		if (in_one_step(&r))
			continue;
		if (r.arg[ABI_GIVE]) {
			reply.arg[ABI_GIVE] =
			    (u64)CALL(SYS_HANDLE_DUP, r.arg[ABI_GIVE], RIGHT_SEND | RIGHT_DUP);
			CALL(SYS_HANDLE_CLOSE, r.arg[ABI_GIVE]);
		}
		gives("SYS_REPLY", 0, &reply);
		if (reply.arg[ABI_GIVE])
			CALL(SYS_HANDLE_CLOSE, reply.arg[ABI_GIVE]);
		/* The reply's handle is closed, and only the endpoint's handle is left. */
		CHECK(CALL(SYS_REPLY, r.arg[0]) == -EBADF);
		CHECK(CALL(SYS_INFO, INFO_HANDLES) == 1);
		if (r.arg[ABI_WORD0] == EXIT_WORD)
			CALL(SYS_EXIT, (u64)-7);
	}
}

static void message(u64 first, u64 gift)
{
	struct syscall_regs r = {.nr = SYS_CALL, .arg = {caller.ep, FOREVER, first, 2, 3, 4, gift}};
	unsigned i, calls = served.calls;
	s64 handles = CALL(SYS_INFO, INFO_HANDLES);

	CHECK(user_call(&r) == 0);
	CHECK(r.arg[0] == caller.ep && r.arg[1] == FOREVER && served.calls == calls + 1);
	CHECK(r.arg[ABI_WORD0] == first + 10);
	for (i = 1; i < ABI_WORDS; i++)
		CHECK(r.arg[ABI_WORD0 + i] == i + 11);
	CHECK(served.rights == (gift ? RIGHT_SEND | RIGHT_DUP : 0u));
	if (!gift) {
		CHECK(r.arg[ABI_GIVE] == 0);
		return;
	}
	CHECK(CALL(SYS_INFO, INFO_RIGHTS, r.arg[ABI_GIVE]) == (RIGHT_SEND | RIGHT_DUP));
	CHECK(CALL(SYS_INFO, INFO_HANDLES) == handles + 1);
	GIVES(0, SYS_HANDLE_CLOSE, r.arg[ABI_GIVE]);
}

ROLE(messages, message(1, 0); message(5, caller.send); message(7, 0));

/* ---- other tasks ---- */

static void waits_for(u64 task, s64 how, s64 status)
{
	struct syscall_regs r = {.nr = SYS_TASK_WAIT, .arg = {task, FOREVER, 3, 4, 5, 6, 7}};
	unsigned i;

	CHECK(user_call(&r) == how);
	CHECK(r.arg[0] == task && r.arg[1] == (u64)status);
	for (i = 2; i < 7; i++)
		CHECK(r.arg[i] == i + 1);
}

static void tasks(void)
{
	u64 child = MAKES(RIGHT_WAIT | RIGHT_KILL | RIGHT_DUP, SYS_TASK_CREATE, caller.programs,
	    DATA, 7, caller.send, 1, 2);
	s64 threads = used(LIMIT_THREADS);

	waits_for(child, TASK_EXITED, 0);
	waits_for(child, TASK_EXITED, 0);
	GIVES(0, SYS_TASK_KILL, child);
	waits_for(child, TASK_EXITED, 0);
	GIVES(0, SYS_HANDLE_CLOSE, child);
	/*
	 * The task's second and third thread: the number of a thread that has ended is not reused.
	 */
	GIVES(1, SYS_THREAD_CREATE, CODE + PROGRAMS, DATA);
	GIVES(2, SYS_THREAD_CREATE, CODE + PROGRAMS, USER_END);
	GIVES(0, SYS_SLEEP, 5 * THREADS_TICK_NS);
	GIVES(1, SYS_INFO, INFO_THREADS);
	CHECK(used(LIMIT_THREADS) <= threads);
	GIVES(0, SYS_FAULT_HANDLER, caller.send);
	CHECK(caller.self->handler);
	GIVES(0, SYS_FAULT_HANDLER, 0);
	CHECK(!caller.self->handler);
	message(EXIT_WORD, 0);
	waits_for(caller.task, TASK_EXITED, -7);
}

/* ---- limits of a task ---- */

static void limits(void)
{
	static const enum account_kind kind[NR_LIMITS] = {ACCOUNT_TASKS, ACCOUNT_THREADS,
	    ACCOUNT_OBJECTS, ACCOUNT_REGIONS, ACCOUNT_TABLES, ACCOUNT_ENDPOINTS};
	const struct account *own = caller.self->account;
	const u64 pages = memory_managed_pages(&kernel_memory);
	const u64 first[NR_LIMITS] = {
	    ABI_MAX_TASKS - 1, pages / 20, pages / 16, pages * 2, pages / 8, pages / 2};
	struct abi_limits wanted;
	struct task *task;
	unsigned i, j;

	GIVES(0, SYS_SLEEP, 5 * THREADS_TICK_NS); /* wait for the end of the earlier test's child */
	for (i = 0; i < NR_LIMITS; i++)
		CHECK(own->limit[kind[i]] == first[i]);
	CHECK(own->max_mappings == ABI_MAX_MAPPINGS && own->parent == &account_all);
	CHECK(!task_create_limited("child", NULL, 0, &task));
	for (i = 0; i < NR_LIMITS; i++)
		CHECK(task->account->limit[kind[i]] == first[i] / 2);
	CHECK(task->account->limit[ACCOUNT_MESSAGES] == ~0ULL && task->account->parent == own);
	CHECK(used(LIMIT_TASKS) == 1);
	task_abandon(task);
	task_put(task);
	CHECK(used(LIMIT_TASKS) == 0);
	for (i = 0; i < NR_LIMITS; i++) {
		u64 most = first[i] - (i == LIMIT_TASKS);

		for (j = 0; j < NR_LIMITS; j++)
			wanted.limit[j] = ABI_LIMIT_INHERIT;
		wanted.limit[i] = most + 1;
		CHECK(task_create_limited("child", &wanted, 0, &task) == -EACCES);
		CHECK(used(LIMIT_TASKS) == 0);
		wanted.limit[i] = most;
		CHECK(!task_create_limited("child", &wanted, 0, &task));
		for (j = 0; j < NR_LIMITS; j++)
			CHECK(task->account->limit[kind[j]] == (i == j ? most : first[j] / 2));
		task_abandon(task);
		task_put(task);
	}
}

/* ---- printed text ---- */

static void prints(const char *text, size_t len, const char *want)
{
	u64 word;
	size_t i;

	for (i = 0; i < len; i += 8) {
		word = 0;
		memcpy(&word, text + i, MIN(len - i, sizeof(word)));
		user_store(DATA + PAGE_SIZE + i, word);
	}
	listen();
	GIVES(0, SYS_DEBUG_WRITE, DATA + PAGE_SIZE, len);
	if (strcmp(heard(), want) != 0)
		call_wrong("SYS_DEBUG_WRITE", heard(), (s64)len);
}

static void words(void)
{
	char text[ABI_MAX_LINE + 3], want[sizeof(text) + 30];

	prints("one", 3, "task: one\n");
	prints("one\n", 4, "task: one\n");
	prints("one\ntwo", 7, "task: one\ntask: two\n");
	prints("one\n\ntwo\n", 9, "task: one\ntask: \ntask: two\n");
	prints("\n", 1, "task: \n");
	prints("", 0, "");
	prints("a\tb\x7f\x1b~ ", 7, "task: a?b??~ \n");
	/* Long lines are cut; the last piece ends where the program ends its line. */
	memset(text, 'x', sizeof(text));
	text[ABI_MAX_LINE] = '\n';
	snprintf(want, sizeof(want), "task: %.*s\ntask: xx\n", ABI_MAX_LINE, text);
	prints(text, sizeof(text), want);
}

static void try_good_calls(u64 arg)
{
	call_write_names();
	user_store(DATA + PAGE_SIZE, 0);
	informs();
	handles();
	memory();
	messages();
	limits();
	words();
	tasks();
	x.done = true;
}

void good_calls(void)
{
	memset(&served, 0, sizeof(served));
	caller_and(answer, RIGHT_RECEIVE);
	new_program(caller.self, 1, try_good_calls, 0);
}

static unsigned printing, writers;

/*
 * While a line is being printed, the other program tries to print.  The one that prints does not
 * wait for turns of its task's other threads, for which the other program would wait, too.
 */
static void print_slowly(const char *text)
{
	CHECK(!printing++ && thread_current()->boosted);
	thread_yield();
	printing--;
}

static void write_once(u64 arg)
{
	GIVES(0, SYS_DEBUG_WRITE, DATA, 1);
	CHECK(!thread_current()->boosted);
	if (++writers < 2)
		return;
	threads_on_print = NULL;
	x.done = true;
}

void writers_in_turn(void)
{
	struct task *task = task_with_data(0, 1);

	new_program(task, 1, write_once, 0);
	new_program(task, 1, write_once, 0);
	printing = writers = 0;
	threads_on_print = print_slowly;
}
