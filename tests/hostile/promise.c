/* SPDX-License-Identifier: MIT */
/*
 * promise.c: the kernel's promises to every program, as far as ring 3 can verify them: new memory
 * is zero, no reply reveals an address of the kernel, handles cannot be guessed, and a dead task
 * leaves nothing behind.
 *
 * handle: the capability to start programs; arg0: the seed.  Started by itself: arg1 is the role
 * (enum role).  The exit status is the number of wrong results.
 */
#include "tests/hostile/hog.h"
#include "user/quarry.h"

#define LIMIT_NS  (100 * NS_PER_S)
#define KERNEL    0xffff800000000000UL /* the kernel's addresses, from here on */
#define NR_PAGES  256
#define NR_DEATHS 24

enum role {
	FIRST,
	OTHER,   /* arg0: a handle of another task */
	TOUCHES, /* handle: an object; arg0: the page */
};

static u64 programs, seed;
static int surprises;

static void want(int line, s64 have, s64 wanted)
{
	if (have == wanted)
		return;
	printf("promise.c:%d: %ld, not %ld\n", line, have, wanted);
	surprises++;
}
#define WANT(have, wanted) want(__LINE__, (have), (wanted))

/* ---- new memory is zero ---- */

static u64 words_not_zero(const volatile u64 *at, u64 words)
{
	u64 i, sum = 0;

	for (i = 0; i < words; i++)
		sum += at[i] != 0;
	return sum;
}

/* New pages are zero, although this task or another one filled them a moment ago. */
static void new_memory_is_zero(void)
{
	u64 words = NR_PAGES * ABI_PAGE_SIZE / 8, *at = address_for(NR_PAGES), round;
	s64 endpoint = endpoint_create(), object, task;
	int status;

	for (round = 0; round < 4; round++) {
		WANT(pages_map(at, NR_PAGES), true);
		WANT(words_not_zero(at, words), 0);
		memset(at, 0xa5, NR_PAGES * ABI_PAGE_SIZE);
		WANT(unmap(at, NR_PAGES), 0);
		task = task_create(programs, "hog", 0, NR_PAGES, seed << 8 | HOG_MAPPED);
		WANT(task_wait((u64)task, LIMIT_NS, &status), TASK_EXITED);
		handle_close((u64)task);
	}
	/*
	 * The kernel accesses this page first: it reads the page to supply a page of another
	 * object.
	 */
	object = pager_bind((u64)endpoint, 1, 0, NS_PER_MS);
	WANT(pages_map(at, 1), true);
	WANT(pager_supply((u64)object, 0, at), 0);
	WANT(map((u64)object, at + 512, 1, 0, ABI_READ), 0);
	WANT(words_not_zero(at, 1024), 0);
	WANT(unmap(at, 2), 0);
	handle_close((u64)object);
	handle_close((u64)endpoint);
}

/* ---- no reply reveals an address of the kernel ---- */

/* The number of registers with kernel addresses after a call. */
static u64 kernel_values(u64 nr, u64 a, u64 b)
{
	register u64 r10 __asm__("r10") = 0;
	register u64 r8 __asm__("r8") = 0;
	register u64 r9 __asm__("r9") = 0;
	register u64 r12 __asm__("r12") = 0;
	u64 rax = nr, rdi = a, rsi = b, rdx = 0, rcx, r11;

	__asm__ volatile("syscall; movq %%r11, %7"
	                 : "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8),
	                 "=c"(rcx), "=&b"(r11), "+r"(r9), "+r"(r12)
	                 :
	                 : "r11", "memory");
	/* An error is a small negative number. */
	return (rax >= KERNEL && rax < (u64)-4095) + (rdi >= KERNEL) + (rsi >= KERNEL) +
	    (rdx >= KERNEL) + (r10 >= KERNEL) + (r8 >= KERNEL) + (r9 >= KERNEL) + (r12 >= KERNEL) +
	    (rcx >= KERNEL) + (r11 >= KERNEL);
}

static void no_reply_tells_an_address(void)
{
	s64 object = object_create(4), endpoint = endpoint_create();
	u64 nr;

	for (nr = 0; nr <= NR_SYSCALLS; nr++) {
		if (nr == SYS_EXIT || nr == SYS_THREAD_EXIT || nr == SYS_THREAD_CREATE)
			continue;
		WANT(kernel_values(nr, 0, 0), 0);
		WANT(kernel_values(nr, nr == SYS_SLEEP ? 1 : (u64)object, 0), 0);
		WANT(kernel_values(nr, nr == SYS_SLEEP ? 1 : (u64)endpoint, 1), 0);
		handle_close((u64)object);
		handle_close((u64)endpoint);
		object = object_create(4);
		endpoint = endpoint_create();
	}
	handle_close((u64)object);
	handle_close((u64)endpoint);
}

/* ---- handles cannot be guessed ---- */

static void nobody_makes_up_a_handle(void)
{
	u64 given = (u64)info(INFO_HANDLES, 0), number, valid = 0;
	s64 object = object_create(1), task, closed = handle_dup((u64)object, RIGHT_READ);
	int status;

	/* Try every slot with every generation used so far, and many others. */
	for (number = 0; number < 64UL * ABI_MAX_HANDLES; number++)
		valid += info(INFO_RIGHTS, number) >= 0;
	WANT(valid, given + 2);
	handle_close((u64)closed);
	WANT(info(INFO_RIGHTS, (u64)closed), -EBADF);
	WANT(handle_dup((u64)object, RIGHT_READ) == closed, false); /* same slot, other number */
	for (number = 8; number < 64; number++)
		WANT(info(INFO_RIGHTS, (u64)object ^ 1UL << number), -EBADF);
	/* The number is valid in this task, but not in the other one. */
	task = task_create(programs, "promise", 0, (u64)object, OTHER);
	WANT(task_wait((u64)task, LIMIT_NS, &status), TASK_EXITED);
	WANT(status, -EBADF);
}

/* ---- a dead task leaves nothing behind ---- */

/*
 * Kill tasks at random moments: while they start, allocate, or wait for a pager.  The kernel checks
 * for leaks.
 */
static void deaths(u64 object)
{
	static const char *const names[] = {"stress", "hog", "promise"};
	u64 random = seed | 1, i;
	int status;

	for (i = 0; i < NR_DEATHS; i++) {
		u64 which = i % ARRAY_SIZE(names), arg0 = which == 1 ? 2000 : i % 8;
		s64 task = task_create(programs, names[which], which == 2 ? object : 0, arg0,
		    which == 2 ? TOUCHES : 1 << 20);

		WANT(task > 0, 1);
		sleep_ns(next_random(&random) % (40 * NS_PER_MS));
		WANT(task_kill((u64)task), 0);
		WANT(task_wait((u64)task, LIMIT_NS, &status) == TASK_KILLED ||
		        (which != 0 && task_wait((u64)task, 0, &status) == TASK_EXITED),
		    true);
		handle_close((u64)task);
	}
}

/*
 * The pager of these pages never answers, and its timeout is ten seconds.  A task killed while it
 * waits must end at once.
 */
static void who_dies_leaves_nothing_behind(void)
{
	s64 endpoint = endpoint_create();
	s64 object = pager_bind((u64)endpoint, 8, 0, ABI_MAX_PAGER_NS), task;
	u64 before = clock_ns();
	int status;

	task = task_create(programs, "promise", (u64)object, 1, TOUCHES);
	WANT(task_wait((u64)task, 100 * NS_PER_MS, &status), -ETIMEDOUT);
	WANT(task_kill((u64)task), 0);
	WANT(task_wait((u64)task, LIMIT_NS, &status), TASK_KILLED);
	WANT(clock_ns() - before < ABI_MAX_PAGER_NS, true);
	deaths((u64)object);
	WANT(info(INFO_OBJECT_PRESENT, (u64)object), 0);
	handle_close((u64)endpoint);
	handle_close((u64)object);
}

static int touch(u64 object, u64 index)
{
	volatile char *at = address_for(8);

	if (map(object, (void *)at, 8, 0, ABI_READ))
		return 1;
	return at[index * ABI_PAGE_SIZE];
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	const volatile u64 *sp = __builtin_frame_address(0);
	u64 stack = (u64)sp & ~(ABI_PAGE_SIZE - 1);

	/* The unused rest of the stack must be zero. */
	WANT(words_not_zero((const volatile u64 *)(stack - 8 * ABI_PAGE_SIZE), 8 * 512 - 64), 0);
	switch (arg1) {
	case OTHER: return (int)info(INFO_RIGHTS, arg0);
	case TOUCHES: return touch(handle, arg0);
	default: break;
	}
	programs = handle;
	seed = arg0;
	new_memory_is_zero();
	no_reply_tells_an_address();
	nobody_makes_up_a_handle();
	who_dies_leaves_nothing_behind();
	printf("%d surprises\n", surprises);
	return surprises;
}
