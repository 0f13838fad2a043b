/* SPDX-License-Identifier: MIT */
/*
 * explore_calls.c: system calls with each argument wrong in turn: each has the documented error,
 * changes no register, and leaves nothing behind. The sets are run without preemption.
 *
 * Owns:  the handles of the program that calls.
 */
#include "explore_tasks.h"
#include <quarry/mm.h>
#include <quarry/string.h>
#include <stdio.h>

#define BAD 0x12345UL /* no handle */

struct caller caller;

/* ---- one call ---- */

void call_wrong(const char *call, const char *why, s64 ret)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s: %s (%lld)", call, why, (long long)ret);
	explore_fail("WRONG", text);
}

/* Drop the thread's record of its calls: it must not count as a leak of the next call. */
void call_begin(struct kept *before)
{
	ipc_forget(thread_current());
	kept_read(before);
}

const char *call_settle(const struct kept *before, unsigned handles)
{
	const char *what = NULL;
	unsigned i;

	ipc_forget(thread_current());
	for (i = 0; i < 20; i++) {
		what = READ_ONCE(caller.self->caps.nr_used) != handles ? "handles"
		                                                       : kept_differ(before);
		if (!what)
			break;
		CALL(SYS_SLEEP, THREADS_TICK_NS);
	}
	return what;
}

/* The call fails with @want, and changes nothing. */
static void refused(const char *call, s64 want, struct syscall_regs *r)
{
	unsigned handles = caller.self->caps.nr_used;
	struct syscall_regs had = *r;
	struct kept before;
	const char *what;
	s64 ret;

	call_begin(&before);
	ret = user_call(r);
	if (ret != want)
		call_wrong(call, "another result than documented", ret);
	if (memcmp(&had, r, sizeof(had)) != 0)
		call_wrong(call, "a call that fails has changed a register", ret);
	what = call_settle(&before, handles);
	if (what)
		call_wrong(call, what, ret);
}

#define REFUSED(want, number, ...)                                                                 \
	refused(#number " " #__VA_ARGS__, want,                                                    \
	    &(struct syscall_regs){.nr = (number), .arg = {__VA_ARGS__}})

/* Handles that do not exist, have another kind, or lack the right. */
#define BAD_HANDLES(number, other, weak, ...)                                                      \
	do {                                                                                       \
		REFUSED(-EBADF, number, BAD, __VA_ARGS__);                                         \
		REFUSED(-EBADF, number, caller.closed, __VA_ARGS__);                               \
		REFUSED(-EBADF, number, MOST, __VA_ARGS__);                                        \
		REFUSED(-EINVAL, number, other, __VA_ARGS__);                                      \
		REFUSED(-EACCES, number, weak, __VA_ARGS__);                                       \
	} while (0)

/* ---- arguments ---- */

static void bad_memory_arguments(void)
{
	REFUSED(-EINVAL, SYS_OBJECT_CREATE, 0);
	REFUSED(-EINVAL, SYS_OBJECT_CREATE, ABI_MAX_PAGES + 1);
	REFUSED(-EINVAL, SYS_OBJECT_CREATE, MOST);
	BAD_HANDLES(SYS_MAP, caller.ep, caller.fixed, NOWHERE, 1, 0, ABI_READ | ABI_WRITE);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE + 1, 1, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, 0, 1, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, VM_USER_START - PAGE_SIZE, 1, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, USER_END - PAGE_SIZE, 2, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, -PAGE_SIZE, 1, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 0, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 3, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, MOST, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 1UL << 52, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 1, 2, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 2, 1, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 2, MOST, ABI_READ);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 1, 0, 0);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 1, 0, ABI_WRITE);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 1, 0, ABI_READ | ABI_WRITE | ABI_EXEC);
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 1, 0, ABI_READ | VM_MAY(ABI_READ));
	REFUSED(-EINVAL, SYS_MAP, caller.object, NOWHERE, 1, 0, 1UL << 32 | ABI_READ);
	REFUSED(-EEXIST, SYS_MAP, caller.object, DATA, 1, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_UNMAP, DATA + 1, 1);
	REFUSED(-EINVAL, SYS_UNMAP, 0, 1);
	REFUSED(-EINVAL, SYS_UNMAP, DATA, 0);
	REFUSED(-EINVAL, SYS_UNMAP, DATA, MOST);
	REFUSED(-EINVAL, SYS_UNMAP, USER_END, 1);
	REFUSED(-EINVAL, SYS_PROTECT, DATA + 1, 1, ABI_READ);
	REFUSED(-EINVAL, SYS_PROTECT, DATA, 0, ABI_READ);
	REFUSED(-EINVAL, SYS_PROTECT, DATA, MOST, ABI_READ);
	REFUSED(-EINVAL, SYS_PROTECT, DATA, 1, 0);
	REFUSED(-EINVAL, SYS_PROTECT, DATA, 1, ABI_WRITE | ABI_EXEC | ABI_READ);
	REFUSED(-EINVAL, SYS_PROTECT, DATA, 1, 1UL << 32 | ABI_READ);
	REFUSED(-EFAULT, SYS_PROTECT, DATA, 3, ABI_READ);
	REFUSED(-EFAULT, SYS_PROTECT, NOWHERE, 1, ABI_READ);
	REFUSED(-EACCES, SYS_PROTECT, DATA, 1, ABI_READ | ABI_EXEC);
}

static void bad_pager_arguments(void)
{
	BAD_HANDLES(SYS_PAGER_BIND, caller.object, caller.send, 1, 0, THREADS_TICK_NS);
	REFUSED(-EINVAL, SYS_PAGER_BIND, caller.ep, 0, 0, THREADS_TICK_NS);
	REFUSED(-EINVAL, SYS_PAGER_BIND, caller.ep, ABI_MAX_PAGES + 1, 0, THREADS_TICK_NS);
	REFUSED(-EINVAL, SYS_PAGER_BIND, caller.ep, MOST, 0, THREADS_TICK_NS);
	REFUSED(-EINVAL, SYS_PAGER_BIND, caller.ep, 1, 0, 0);
	REFUSED(-EINVAL, SYS_PAGER_BIND, caller.ep, 1, 0, ABI_MAX_PAGER_NS + 1);
	REFUSED(-EINVAL, SYS_PAGER_BIND, caller.ep, 1, 0, MOST);
	BAD_HANDLES(SYS_PAGER_SUPPLY, caller.ep, caller.object, 0, DATA);
	REFUSED(-EINVAL, SYS_PAGER_SUPPLY, caller.unpaged, 0, DATA);
	REFUSED(-EINVAL, SYS_PAGER_SUPPLY, caller.paged, 2, DATA);
	REFUSED(-EINVAL, SYS_PAGER_SUPPLY, caller.paged, 1UL << 32, DATA);
	REFUSED(-EINVAL, SYS_PAGER_SUPPLY, caller.paged, MOST, DATA);
	REFUSED(-EFAULT, SYS_PAGER_SUPPLY, caller.paged, 1, NOWHERE);
	REFUSED(-EFAULT, SYS_PAGER_SUPPLY, caller.paged, 1, MOST);
	REFUSED(-EFAULT, SYS_PAGER_SUPPLY, caller.paged, 1, DATA + PAGE_SIZE + 1);
	BAD_HANDLES(SYS_PAGER_TAKE_BACK, caller.ep, caller.object, 0, DATA);
	REFUSED(-EINVAL, SYS_PAGER_TAKE_BACK, caller.unpaged, 0, DATA);
	REFUSED(-EINVAL, SYS_PAGER_TAKE_BACK, caller.paged, 2, DATA);
	REFUSED(-ENOENT, SYS_PAGER_TAKE_BACK, caller.paged, 0, DATA);
	REFUSED(-ENOENT, SYS_PAGER_TAKE_BACK, caller.paged, 0, NOWHERE);
	BAD_HANDLES(SYS_PAGER_DROP, caller.ep, caller.object, 0, 1);
	REFUSED(-EINVAL, SYS_PAGER_DROP, caller.unpaged, 0, 1);
	REFUSED(-EINVAL, SYS_PAGER_DROP, caller.paged, 2, 1);
	REFUSED(-EINVAL, SYS_PAGER_DROP, caller.paged, 1, 2);
	REFUSED(-EINVAL, SYS_PAGER_DROP, caller.paged, 0, MOST);
	REFUSED(-EINVAL, SYS_PAGER_DROP, caller.paged, 0, 1UL << 32 | 1);
}

static void bad_message_arguments(void)
{
	BAD_HANDLES(SYS_CALL, caller.object, caller.receive, 0);
	REFUSED(-ETIMEDOUT, SYS_CALL, caller.ep, 0);
	REFUSED(-ETIMEDOUT, SYS_CALL, caller.ep, THREADS_TICK_NS, 1, 2, 3, 4, caller.send);
	REFUSED(-EBADF, SYS_CALL, caller.ep, MOST, 1, 2, 3, 4, BAD);
	REFUSED(-EACCES, SYS_CALL, caller.ep, MOST, 1, 2, 3, 4, caller.fixed);
	REFUSED(-EACCES, SYS_CALL, caller.ep, MOST, 1, 2, 3, 4, caller.reply);
	BAD_HANDLES(SYS_RECEIVE, caller.object, caller.send, 0);
	REFUSED(-ETIMEDOUT, SYS_RECEIVE, caller.ep, 0);
	REFUSED(-ETIMEDOUT, SYS_RECEIVE, caller.ep, THREADS_TICK_NS);
	REFUSED(-EBADF, SYS_REPLY, BAD, 0, 1, 2, 3, 4, 0);
	REFUSED(-EINVAL, SYS_REPLY, caller.ep, 0, 1, 2, 3, 4, 0);
	REFUSED(-EBADF, SYS_REPLY, BAD, 0, 1, 2, 3, 4, caller.send);
	REFUSED(-EINVAL, SYS_REPLY, caller.ep, 0, 1, 2, 3, 4, caller.send);
	REFUSED(-EBADF, SYS_REPLY, caller.reply, 0, 1, 2, 3, 4, BAD);
	REFUSED(-EACCES, SYS_REPLY, caller.reply, 0, 1, 2, 3, 4, caller.fixed);
	REFUSED(-EBADF, SYS_REPLY_RECEIVE, BAD, caller.ep, 1, 2, 3, 4, 0);
	REFUSED(-EINVAL, SYS_REPLY_RECEIVE, caller.ep, caller.ep, 1, 2, 3, 4, 0);
	REFUSED(-EBADF, SYS_REPLY_RECEIVE, caller.reply, BAD, 1, 2, 3, 4, 0);
	REFUSED(-EINVAL, SYS_REPLY_RECEIVE, caller.reply, caller.object, 1, 2, 3, 4, 0);
	REFUSED(-EACCES, SYS_REPLY_RECEIVE, caller.reply, caller.send, 1, 2, 3, 4, 0);
	REFUSED(-EBADF, SYS_HANDLE_CLOSE, 0);
	REFUSED(-EBADF, SYS_HANDLE_CLOSE, BAD);
	REFUSED(-EBADF, SYS_HANDLE_CLOSE, caller.closed);
	REFUSED(-EBADF, SYS_HANDLE_CLOSE, caller.ep + 256);
	REFUSED(-EBADF, SYS_HANDLE_DUP, BAD, RIGHT_SEND);
	REFUSED(-EACCES, SYS_HANDLE_DUP, caller.fixed, RIGHT_READ);
	REFUSED(-EACCES, SYS_HANDLE_DUP, caller.reply, 0);
	REFUSED(-EACCES, SYS_HANDLE_DUP, caller.send, RIGHT_RECEIVE);
	REFUSED(-EINVAL, SYS_HANDLE_DUP, caller.ep, RIGHTS_ALL + 1);
	REFUSED(-EINVAL, SYS_HANDLE_DUP, caller.ep, 1UL << 32);
	REFUSED(-EINVAL, SYS_HANDLE_DUP, caller.ep, MOST);
	BAD_HANDLES(SYS_FAULT_HANDLER, caller.object, caller.receive, 0);
}

static void bad_task_arguments(void)
{
	/* Names are at DATA, limits above the caller's own at DATA + 64. */
	BAD_HANDLES(SYS_TASK_CREATE, caller.ep, caller.programs_only, DATA, 7);
	REFUSED(-EFAULT, SYS_TASK_CREATE, caller.programs, NOWHERE, 7);
	REFUSED(-EFAULT, SYS_TASK_CREATE, caller.programs, MOST, 7);
	REFUSED(-EINVAL, SYS_TASK_CREATE, caller.programs, DATA, ABI_MAX_NAME + 1);
	REFUSED(-EINVAL, SYS_TASK_CREATE, caller.programs, DATA, MOST);
	REFUSED(-ENOENT, SYS_TASK_CREATE, caller.programs, DATA, 6);
	REFUSED(-ENOENT, SYS_TASK_CREATE, caller.programs, DATA, 6, caller.send);
	REFUSED(-ENOEXEC, SYS_TASK_CREATE, caller.programs, DATA + 8, 6, caller.send);
	REFUSED(-EBADF, SYS_TASK_CREATE, caller.programs, DATA, 7, BAD);
	REFUSED(-EACCES, SYS_TASK_CREATE, caller.programs, DATA, 7, caller.fixed);
	REFUSED(-EFAULT, SYS_TASK_CREATE, caller.programs, DATA, 7, 0, 0, 0, NOWHERE);
	REFUSED(
	    -EFAULT, SYS_TASK_CREATE, caller.programs, DATA, 7, 0, 0, 0, DATA + 2 * PAGE_SIZE - 8);
	REFUSED(-EACCES, SYS_TASK_CREATE, caller.programs, DATA, 7, caller.send, 0, 0, DATA + 64);
	BAD_HANDLES(SYS_TASK_WAIT, caller.ep, caller.task_only, 0);
	REFUSED(-ETIMEDOUT, SYS_TASK_WAIT, caller.task, 0);
	REFUSED(-ETIMEDOUT, SYS_TASK_WAIT, caller.task, THREADS_TICK_NS);
	BAD_HANDLES(SYS_TASK_KILL, caller.ep, caller.task_only, 0);
	REFUSED(-EINVAL, SYS_THREAD_CREATE, USER_END, DATA);
	REFUSED(-EINVAL, SYS_THREAD_CREATE, MOST, DATA);
	REFUSED(-EINVAL, SYS_THREAD_CREATE, CODE, USER_END + 1);
	REFUSED(-EINVAL, SYS_THREAD_CREATE, CODE, MOST);
	REFUSED(-EINVAL, SYS_DEBUG_WRITE, DATA, ABI_MAX_WRITE + 1);
	REFUSED(-EINVAL, SYS_DEBUG_WRITE, DATA, MOST);
	REFUSED(-EFAULT, SYS_DEBUG_WRITE, NOWHERE, 1);
	REFUSED(-EFAULT, SYS_DEBUG_WRITE, DATA + 2 * PAGE_SIZE - 4, 8);
	REFUSED(-EFAULT, SYS_DEBUG_WRITE, MOST, 1);
	REFUSED(-EFAULT, SYS_DEBUG_WRITE, USER_END - 1, 1);
	REFUSED(-EINVAL, SYS_INFO, NR_INFOS);
	REFUSED(-EINVAL, SYS_INFO, MOST);
	REFUSED(-EBADF, SYS_INFO, INFO_RIGHTS, BAD);
	REFUSED(-EINVAL, SYS_INFO, INFO_OBJECT_PAGES, caller.ep);
	REFUSED(-EBADF, SYS_INFO, INFO_OBJECT_PRESENT, caller.closed);
	REFUSED(-EINVAL, SYS_INFO, INFO_LIMIT, NR_LIMITS);
	REFUSED(-EINVAL, SYS_INFO, INFO_USED, MOST);
	REFUSED(-ENOSYS, NR_SYSCALLS, 0);
	REFUSED(-ENOSYS, MOST, 0);
}

/* Write names and limits, and touch the second page: later calls then need no new page or table. */
void call_write_names(void)
{
	struct abi_limits limits;
	u64 word[2];
	unsigned i;

	memcpy(word, "program\0broken\0", sizeof(word));
	user_store(DATA, word[0]);
	user_store(DATA + 8, word[1]);
	for (i = 0; i < NR_LIMITS; i++) {
		limits.limit[i] = i == LIMIT_THREADS ? ABI_LIMIT_INHERIT - 1 : ABI_LIMIT_INHERIT;
		user_store(DATA + 64 + 8 * i, limits.limit[i]);
	}
	user_store(DATA + PAGE_SIZE, 0);
}

static void try_bad_arguments(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {caller.ep, MOST}};

	call_write_names();
	if (user_call(&r))
		panic("no call to answer");
	caller.reply = r.arg[0];
	bad_memory_arguments();
	bad_pager_arguments();
	bad_message_arguments();
	bad_task_arguments();
	x.done = true;
}

/* Make a call whose answer never comes. */
static void wait_for_answer(u64 handle)
{
	CALL(SYS_CALL, handle, MOST);
}

static u64 handle(enum cap_kind kind, unsigned rights, void *object)
{
	return (u64)give(caller.self, kind, rights, object);
}

/* Create the task that calls, with a handle of each kind, and a task that runs @other. */
struct task *caller_and(void (*other)(u64), unsigned rights)
{
	struct vm_object *object = new_object(2);
	struct endpoint *ep = endpoint_create();
	struct task *task;

	caller.self = new_task(0);
	task = new_task(1);
	map_data(caller.self, object);
	caller.ep = handle(CAP_ENDPOINT, RIGHT_SEND | RIGHT_RECEIVE | RIGHT_DUP, ep);
	caller.send = handle(CAP_ENDPOINT, RIGHT_SEND | RIGHT_DUP, ep);
	caller.receive = handle(CAP_ENDPOINT, RIGHT_RECEIVE, ep);
	caller.object =
	    handle(CAP_OBJECT, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC | RIGHT_DUP, object);
	caller.fixed = handle(CAP_OBJECT, RIGHT_READ, object);
	caller.unpaged = handle(CAP_OBJECT, RIGHT_SUPPLY, object);
	caller.task = handle(CAP_TASK, RIGHT_WAIT | RIGHT_KILL | RIGHT_DUP, task);
	caller.task_only = handle(CAP_TASK, RIGHT_DUP, task);
	caller.programs = handle(CAP_PROGRAMS, RIGHT_EXEC, NULL);
	caller.programs_only = handle(CAP_PROGRAMS, RIGHT_DUP, NULL);
	new_program(task, 2, other, (u64)give(task, CAP_ENDPOINT, rights, ep));
	endpoint_put(ep, RIGHT_RECEIVE);
	vm_object_put(object);
	return task;
}

/*
 * Make a closed handle, and an object with a pager.  Map DATA by a handle that does not allow
 * execution.
 */
static void try_with_handles(u64 arg)
{
	caller.closed = (u64)CALL(SYS_ENDPOINT_CREATE);
	CALL(SYS_HANDLE_CLOSE, caller.closed);
	caller.paged = (u64)CALL(SYS_PAGER_BIND, caller.ep, 2, 5, THREADS_TICK_NS);
	CALL(SYS_UNMAP, DATA, 2);
	x.handle = CALL(SYS_HANDLE_DUP, caller.object, RIGHT_READ | RIGHT_WRITE);
	CALL(SYS_MAP, (u64)x.handle, DATA, 2, 0, ABI_READ | ABI_WRITE);
	try_bad_arguments(arg);
	CALL(SYS_TASK_KILL, caller.task);
}

static void bad_arguments(void)
{
	caller_and(wait_for_answer, RIGHT_SEND);
	new_program(caller.self, 1, try_with_handles, 0);
}

JUDGE(judge_done, x.done, "the program has ended early, or nothing was missing");

static const struct set sets[] = {
    X(a_good_call_gives_what_is_documented_and_no_more, good_calls, judge_done, .once = true),
    X(writers_print_one_at_a_time, writers_in_turn, judge_done, .once = true),
    X(tasks_are_listed_counted_and_ended, tasks_listed, judge_done, .once = true),
    X(what_is_said_when_memory_runs_out_is_so, oom_said, judge_done, .once = true),
    X(an_object_in_a_call_counts_for_the_task_that_gives_it, oom_gifts, judge_done, .once = true),
    X(an_object_that_is_being_mapped_counts, oom_mapped, judge_done, .once = true),
    X(the_first_task_is_listed_as_such, oom_first, judge_done, .once = true),
    X(a_bad_argument_gets_its_error_and_changes_nothing, bad_arguments, judge_done, .once = true),
    X(a_call_without_memory_or_above_a_limit_leaves_nothing, calls_without_objects, judge_done,
        .once = true),
    X(a_call_without_free_handles_leaves_nothing, calls_without_slots, judge_done, .once = true),
    X(a_call_without_pages_leaves_nothing, calls_without_pages, judge_done, .once = true),
};

const struct explore_suite call_suite = {"calls", sets, ARRAY_SIZE(sets), NULL};
