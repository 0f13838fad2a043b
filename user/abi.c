/* SPDX-License-Identifier: MIT */
/*
 * abi.c: tests that system calls return the errors that docs/abi.md promises (except those for lack
 * of memory), and succeed where they should.
 *
 * At the start the program gets a handle to the capability to start programs.  The exit status is
 * the number of wrong results.
 */
#include "quarry.h"

#define FREE_PAGE 0x300000000UL /* nothing is mapped here, except by this program */
#define KERNEL    0xffff888000001000UL
#define SHORT     (2 * NS_PER_MS)

static int surprises;
static u64 programs;

static void want(int line, s64 have, s64 wanted)
{
	if (have == wanted)
		return;
	printf("abi.c:%d: %ld, not %ld\n", line, have, wanted);
	surprises++;
}
#define WANT(call, wanted) want(__LINE__, (call), (wanted))
#define WANT_HANDLE(h)     want(__LINE__, (h) > 0, 1)

static s64 sys1(u64 nr, u64 a)
{
	return sys(nr, a, 0, 0, 0, 0);
}

static s64 write_text(u64 at, u64 len)
{
	return sys(SYS_DEBUG_WRITE, at, len, 0, 0, 0);
}

static void calls_of_the_task(void)
{
	static const char text[] = "two lines,\nof one call";
	u64 nowhere = (u64)address_for(1);

	WANT(write_text((u64)text, sizeof(text) - 1), 0);
	WANT(write_text((u64)text, 0), 0);
	WANT(write_text((u64)text, ABI_MAX_WRITE + 1), -EINVAL);
	WANT(write_text((u64)text, ~0UL), -EINVAL);
	WANT(write_text(nowhere, 1), -EFAULT);
	WANT(write_text(KERNEL, 1), -EFAULT);
	WANT(yield(), 0);
	WANT(sleep_ns(1), 0);
	WANT(clock_ns() <= clock_ns(), 1);
	WANT(info(NR_INFOS, 0), -EINVAL);
	WANT(info((enum abi_info) ~0u, 0), -EINVAL);
	WANT(info(INFO_CPUS, 0) > 0, 1);
	WANT(info(INFO_FREE_PAGES, 0) > 0, 1);
	WANT(info(INFO_THREADS, 0), 1);
	WANT(info(INFO_RIGHTS, 0), -EBADF);
	WANT(info(INFO_OBJECT_PAGES, 12345), -EBADF);
	WANT(info(INFO_OBJECT_PAGES, programs), -EINVAL);
	WANT(sys1(NR_SYSCALLS, 0), -ENOSYS);
	WANT(sys1(~0UL, 0), -ENOSYS);
	WANT(sys1(1UL << 32 | SYS_CLOCK, 0), -ENOSYS);
}

static void noop(u64 arg)
{
}

static void calls_of_threads(void)
{
	static struct thread thread;

	WANT(thread_start(&thread, noop, 0), 0);
	thread_join(&thread);
	WANT(sys(SYS_THREAD_CREATE, KERNEL, 0x1000, 0, 0, 0), -EINVAL);
	WANT(sys(SYS_THREAD_CREATE, 0x00007ffffffff000UL, 0x1000, 0, 0, 0), -EINVAL);
	WANT(sys(SYS_THREAD_CREATE, 0x400000, KERNEL, 0, 0, 0), -EINVAL);
}

static s64 create(u64 by, const char *name, u64 len, u64 give)
{
	u64 arg[7] = {by, (u64)name, len, give, 77, 0};

	return sys_regs(SYS_TASK_CREATE, arg);
}

static void calls_of_tasks(void)
{
	s64 object = object_create(1), task, sealed = handle_dup((u64)object, RIGHT_READ);
	s64 nothing = handle_dup(programs, RIGHT_DUP);
	int status = -1;

	WANT(create(0, "hello", 5, 0), -EBADF);
	WANT(create((u64)object, "hello", 5, 0), -EINVAL);
	WANT(create((u64)nothing, "hello", 5, 0), -EACCES);
	WANT(create(programs, "hello", ABI_MAX_NAME + 1, 0), -EINVAL);
	WANT(create(programs, (const char *)KERNEL, 5, 0), -EFAULT);
	WANT(create(programs, "hell", 4, 0), -ENOENT);
	WANT(create(programs, "", 0, 0), -ENOENT);
	WANT(create(programs, "hello", 5, 4711), -EBADF);
	WANT(create(programs, "hello", 5, (u64)sealed), -EACCES);
	task = create(programs, "hello", 5, (u64)object);
	WANT_HANDLE(task);
	WANT(task_wait((u64)object, 0, &status), -EINVAL);
	WANT(task_wait(99, 0, &status), -EBADF);
	WANT(task_wait((u64)task, 60 * NS_PER_S, &status), TASK_EXITED);
	WANT(status, 0);
	WANT(task_wait((u64)task, 0, &status), TASK_EXITED);
	WANT(task_kill((u64)task), 0); /* too late: no effect */
	WANT(task_wait((u64)task, 0, &status), TASK_EXITED);
	WANT(task_kill(programs), -EINVAL);
	WANT(task_kill(99), -EBADF);
	sealed = handle_dup((u64)task, RIGHT_WAIT);
	WANT(task_kill((u64)sealed), -EACCES);
	handle_close((u64)sealed);
	sealed = handle_dup((u64)task, RIGHT_KILL);
	WANT(task_wait((u64)sealed, 0, &status), -EACCES);
	task = create(programs, "stress", 6, 0);
	WANT(task_wait((u64)task, SHORT, &status), -ETIMEDOUT);
	WANT(task_kill((u64)task), 0);
	WANT(task_wait((u64)task, 60 * NS_PER_S, &status), TASK_KILLED);
}

static void calls_of_objects(void)
{
	void *at = (void *)FREE_PAGE;
	s64 object = object_create(4), ro;
	volatile char *byte = at;

	WANT(object_create(0), -EINVAL);
	WANT(object_create(ABI_MAX_PAGES + 1), -EINVAL);
	WANT(object_create(~0UL), -EINVAL);
	WANT_HANDLE(object);
	WANT(info(INFO_OBJECT_PAGES, (u64)object), 4);
	WANT(info(INFO_OBJECT_PRESENT, (u64)object), 0);
	WANT(map(0, at, 1, 0, ABI_READ), -EBADF);
	WANT(map(programs, at, 1, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, at, 0, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, at, 5, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, at, 1, 4, ABI_READ), -EINVAL);
	WANT(map((u64)object, at, 2, ~0UL, ABI_READ), -EINVAL);
	WANT(map((u64)object, (char *)at + 1, 1, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, NULL, 1, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, (void *)0x00007ffffffff000UL, 1, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, (void *)0x00007fffffffe000UL, 4, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, (void *)KERNEL, 1, 0, ABI_READ), -EINVAL);
	WANT(map((u64)object, at, 1, 0, 0), -EINVAL);
	WANT(map((u64)object, at, 1, 0, ABI_WRITE), -EINVAL);
	WANT(map((u64)object, at, 1, 0, ABI_READ | ABI_WRITE | ABI_EXEC), -EINVAL);
	WANT(map((u64)object, at, 1, 0, ABI_READ | 8), -EINVAL);
	WANT(map((u64)object, at, 1, 0, ABI_READ | 0x70), -EINVAL);
	WANT(map((u64)object, (void *)0x400000, 1, 0, ABI_READ), -EEXIST);
	WANT(map((u64)object, at, 4, 0, ABI_READ | ABI_WRITE), 0);
	byte[0] = 1;
	byte[3 * ABI_PAGE_SIZE] = 1;
	WANT(info(INFO_OBJECT_PRESENT, (u64)object), 2);
	WANT(map((u64)object, (char *)at + ABI_PAGE_SIZE, 1, 0, ABI_READ), -EEXIST);
	WANT(protect(at, 5, ABI_READ), -EFAULT);
	WANT(protect(at, 0, ABI_READ), -EINVAL);
	WANT(protect(at, 1, ABI_WRITE | ABI_EXEC | ABI_READ), -EINVAL);
	WANT(protect(at, 1, ABI_READ | 0x10), -EINVAL);
	WANT(protect((void *)KERNEL, 1, ABI_READ), -EINVAL);
	WANT(protect(at, 4, ABI_READ), 0);
	WANT(protect(at, 4, ABI_READ | ABI_WRITE), 0);
	WANT(unmap((char *)at + 1, 1), -EINVAL);
	WANT(unmap((void *)KERNEL, 1), -EINVAL);
	WANT(unmap(at, 0), -EINVAL);
	WANT(unmap(at, 4), 0);
	WANT(unmap(at, 4), 0);
	/* A mapping made by a read-only handle stays read-only. */
	ro = handle_dup((u64)object, RIGHT_READ);
	WANT(map((u64)ro, at, 4, 0, ABI_READ | ABI_WRITE), -EACCES);
	WANT(map((u64)ro, at, 4, 0, ABI_READ), 0);
	WANT(byte[0], 1);
	WANT(protect(at, 4, ABI_READ | ABI_WRITE), -EACCES);
	WANT(protect(at, 4, ABI_READ | ABI_EXEC), -EACCES);
	handle_close((u64)object);
	handle_close((u64)ro);
	WANT(byte[0], 1); /* the mapping keeps the page */
	WANT(unmap(at, 4), 0);
}

static void calls_of_endpoints(void)
{
	s64 endpoint = endpoint_create(), send = handle_dup((u64)endpoint, RIGHT_SEND);
	s64 object = object_create(1), listen = handle_dup((u64)endpoint, RIGHT_RECEIVE);
	struct message m = {.word = {1}};

	WANT_HANDLE(endpoint);
	WANT(call(0, &m, 0), -EBADF);
	WANT(call((u64)object, &m, 0), -EINVAL);
	WANT(call((u64)listen, &m, 0), -EACCES);
	WANT(call((u64)send, &m, 0), -ETIMEDOUT);
	WANT(call((u64)send, &m, SHORT), -ETIMEDOUT);
	m.handle = 4711;
	WANT(call((u64)send, &m, 0), -EBADF);
	m.handle = (u64)send; /* a handle without RIGHT_DUP */
	WANT(call((u64)send, &m, 0), -EACCES);
	m.handle = 0;
	WANT(receive(0, &m, 0), -EBADF);
	WANT(receive((u64)object, &m, 0), -EINVAL);
	WANT(receive((u64)send, &m, 0), -EACCES);
	WANT(receive((u64)listen, &m, 0), -ETIMEDOUT);
	WANT(receive((u64)listen, &m, SHORT), -ETIMEDOUT);
	WANT(reply(0, &m), -EBADF);
	WANT(reply((u64)endpoint, &m), -EINVAL);
	WANT(reply_receive(0, (u64)listen, &m, 0), -EBADF);
	WANT(reply_receive((u64)endpoint, (u64)listen, &m, 0), -EINVAL);
	WANT(reply_receive((u64)endpoint, (u64)send, &m, SHORT), -EACCES);
	WANT(m.handle, 0);
	handle_close((u64)endpoint);
	WANT(call((u64)send, &m, 0), -ETIMEDOUT);
	handle_close((u64)listen);
	WANT(call((u64)send, &m, 60 * NS_PER_S), -EPIPE);
	handle_close((u64)send);
	handle_close((u64)object);
}

static void calls_of_pagers(void)
{
	s64 endpoint = endpoint_create(), plain = object_create(4), ro;
	s64 send = handle_dup((u64)endpoint, RIGHT_SEND), object;
	char *page = pages_alloc(1);
	const char *at = address_for(4);

	page[0] = 77;
	WANT(pager_bind(0, 4, 0, SHORT), -EBADF);
	WANT(pager_bind((u64)plain, 4, 0, SHORT), -EINVAL);
	WANT(pager_bind((u64)send, 4, 0, SHORT), -EACCES);
	WANT(pager_bind((u64)endpoint, 0, 0, SHORT), -EINVAL);
	WANT(pager_bind((u64)endpoint, ABI_MAX_PAGES + 1, 0, SHORT), -EINVAL);
	WANT(pager_bind((u64)endpoint, 4, 0, 0), -EINVAL);
	WANT(pager_bind((u64)endpoint, 4, 0, ABI_MAX_PAGER_NS + 1), -EINVAL);
	object = pager_bind((u64)endpoint, 4, 0, SHORT);
	WANT_HANDLE(object);
	WANT(info(INFO_RIGHTS, (u64)object),
	    RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC | RIGHT_DUP | RIGHT_SUPPLY);
	ro = handle_dup((u64)object, RIGHT_READ | RIGHT_WRITE);
	WANT(pager_supply(0, 0, page), -EBADF);
	WANT(pager_supply((u64)endpoint, 0, page), -EINVAL);
	WANT(pager_supply((u64)ro, 0, page), -EACCES);
	WANT(pager_supply((u64)plain, 0, page), -EACCES);
	WANT(pager_supply((u64)object, 4, page), -EINVAL);
	WANT(pager_supply((u64)object, ~0UL, page), -EINVAL);
	WANT(pager_supply((u64)object, 0, (const void *)KERNEL), -EFAULT);
	WANT(pager_supply((u64)object, 0, page + 1), -EFAULT);
	WANT(pager_supply((u64)object, 1, page), 0);
	WANT(pager_supply((u64)object, 1, page), -EEXIST);
	WANT(map((u64)ro, (void *)at, 4, 0, ABI_READ), 0);
	WANT(at[ABI_PAGE_SIZE], 77);
	WANT(write_text((u64)at, 1), -EFAULT); /* this task is the pager, and does not answer */
	WANT(pager_take_back((u64)ro, 1, page), -EACCES);
	WANT(pager_take_back((u64)object, 4, page), -EINVAL);
	WANT(pager_take_back((u64)object, 1, page), -ENOENT);
	WANT(pager_drop((u64)ro, 1, 1), -EACCES);
	WANT(pager_drop((u64)object, 0, 5), -EINVAL);
	WANT(pager_drop((u64)object, 1, ~0UL), -EINVAL);
	WANT(pager_drop((u64)object, 0, 4), 0);
	WANT(info(INFO_OBJECT_PRESENT, (u64)object), 0);
	handle_close((u64)endpoint);
	WANT(write_text((u64)at, 1), -EFAULT); /* now there is no pager */
	WANT(unmap((void *)at, 4), 0);
	handle_close((u64)object);
	handle_close((u64)ro);
	handle_close((u64)send);
	handle_close((u64)plain);
}

static void calls_of_fault_handlers(void)
{
	s64 endpoint = endpoint_create(), object = object_create(1);
	s64 from = handle_dup((u64)endpoint, RIGHT_RECEIVE | RIGHT_DUP);

	WANT(fault_handler((u64)object), -EINVAL);
	WANT(fault_handler((u64)from), -EACCES);
	WANT(fault_handler(~0UL), -EBADF);
	WANT(fault_handler((u64)endpoint), 0);
	WANT(fault_handler((u64)endpoint), 0);
	WANT(fault_handler(0), 0);
	handle_close((u64)from);
	handle_close((u64)endpoint);
	handle_close((u64)object);
}

static void calls_of_handles(void)
{
	s64 object = object_create(1), dup, handles = info(INFO_HANDLES, 0);

	WANT(handle_close(0), -EBADF);
	WANT(handle_close((u64)object ^ 0x100), -EBADF);
	WANT(handle_close((u64)object | 1UL << 40), -EBADF);
	WANT(handle_dup((u64)object, RIGHTS_ALL + 1), -EINVAL);
	WANT(handle_dup((u64)object, RIGHT_SEND), -EACCES);
	WANT(handle_dup(0, 0), -EBADF);
	dup = handle_dup((u64)object, RIGHT_READ);
	WANT_HANDLE(dup);
	WANT(info(INFO_RIGHTS, (u64)dup), RIGHT_READ);
	WANT(handle_dup((u64)dup, RIGHT_READ), -EACCES);
	WANT(handle_close((u64)dup), 0);
	WANT(handle_close((u64)dup), -EBADF);
	WANT(info(INFO_HANDLES, 0), handles);
	while ((dup = object_create(1)) > 0)
		;
	WANT(dup, -EMFILE);
	WANT(info(INFO_HANDLES, 0), ABI_MAX_HANDLES);
	WANT(handle_dup((u64)object, RIGHT_READ), -EMFILE);
	WANT(endpoint_create(), -EMFILE);
	WANT(task_create(programs, "hello", 0, 0, 0), -EMFILE);
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	programs = handle;
	calls_of_the_task();
	calls_of_threads();
	calls_of_tasks();
	calls_of_objects();
	calls_of_endpoints();
	calls_of_pagers();
	calls_of_fault_handlers();
	calls_of_handles();
	printf("%d surprises\n", surprises);
	return surprises;
}
