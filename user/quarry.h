/* SPDX-License-Identifier: MIT */
/*
 * quarry.h: the library of ring 3: system calls, messages, memory, threads, printf.
 *
 * A program is a C file with int main(u64 handle, u64 arg0, u64 arg1), linked with crt.S and lib.c;
 * main's result is its exit status.  Functions return negative errno values as the kernel does.
 */
#ifndef USER_QUARRY_H
#define USER_QUARRY_H

#include <quarry/abi.h>
#include <quarry/errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

_Static_assert(SYS_EXIT == 1, "crt.S");

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define NS_PER_MS     1000000ULL
#define NS_PER_S      1000000000ULL

int main(u64, u64, u64);

/* ---- system calls ---- */

/* Make any system call with all its registers; the results replace arg[]. */
static inline s64 sys_regs(u64 nr, u64 arg[7])
{
	register u64 r10 __asm__("r10") = arg[3];
	register u64 r8 __asm__("r8") = arg[4];
	register u64 r9 __asm__("r9") = arg[5];
	register u64 r12 __asm__("r12") = arg[6];
	s64 ret = (s64)nr;

	__asm__ volatile("syscall"
	                 : "+a"(ret), "+D"(arg[0]), "+S"(arg[1]), "+d"(arg[2]), "+r"(r10), "+r"(r8),
	                 "+r"(r9), "+r"(r12)
	                 :
	                 : "rcx", "r11", "memory");
	arg[3] = r10;
	arg[4] = r8;
	arg[5] = r9;
	arg[6] = r12;
	return ret;
}

/* Make any system call with up to five arguments and a single result. */
static inline s64 sys(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	s64 ret = (s64)nr;

	__asm__ volatile("syscall"
	                 : "+a"(ret)
	                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
	                 : "rcx", "r11", "memory");
	return ret;
}

void exit(int status) __attribute__((noreturn));

static inline s64 yield(void)
{
	return sys(SYS_YIELD, 0, 0, 0, 0, 0);
}

static inline s64 sleep_ns(u64 ns)
{
	return sys(SYS_SLEEP, ns, 0, 0, 0, 0);
}

static inline u64 clock_ns(void)
{
	return (u64)sys(SYS_CLOCK, 0, 0, 0, 0, 0);
}

static inline s64 info(enum abi_info what, u64 handle)
{
	return sys(SYS_INFO, what, handle, 0, 0, 0);
}

static inline s64 handle_close(u64 handle)
{
	return sys(SYS_HANDLE_CLOSE, handle, 0, 0, 0, 0);
}

static inline s64 handle_dup(u64 handle, unsigned rights)
{
	return sys(SYS_HANDLE_DUP, handle, rights, 0, 0, 0);
}

static inline s64 object_create(u64 pages)
{
	return sys(SYS_OBJECT_CREATE, pages, 0, 0, 0, 0);
}

static inline s64 map(u64 object, void *at, u64 pages, u64 first, unsigned prot)
{
	return sys(SYS_MAP, object, (u64)at, pages, first, prot);
}

static inline s64 unmap(void *at, u64 pages)
{
	return sys(SYS_UNMAP, (u64)at, pages, 0, 0, 0);
}

static inline s64 protect(void *at, u64 pages, unsigned prot)
{
	return sys(SYS_PROTECT, (u64)at, pages, prot, 0, 0);
}

static inline s64 endpoint_create(void)
{
	return sys(SYS_ENDPOINT_CREATE, 0, 0, 0, 0, 0);
}

static inline s64 task_kill(u64 task)
{
	return sys(SYS_TASK_KILL, task, 0, 0, 0, 0);
}

/*
 * Start the program @name; @give: a handle of which it gets a copy, or 0.  Returns the task's
 * handle.
 */
s64 task_create(u64 programs, const char *name, u64 give, u64 arg0, u64 arg1);
/* As task_create, with limits; @limits NULL: the defaults. */
s64 task_create_limited(
    u64 programs, const char *name, u64 give, u64 arg0, u64 arg1, const struct abi_limits *limits);
/* Wait for the end of @task: returns how it ended (enum task_end); *@status: the exit status. */
s64 task_wait(u64 task, u64 timeout_ns, int *status);

/* ---- messages ---- */

struct message {
	u64 word[ABI_WORDS];
	u64 handle; /* the handle to send; or the received one, in this task's own table */
};

/* Call @endpoint; the answer replaces *@m. */
s64 call(u64 endpoint, struct message *m, u64 timeout_ns);
/* Receive a call; returns the handle to answer by. */
s64 receive(u64 endpoint, struct message *m, u64 timeout_ns);
s64 reply(u64 reply_handle, const struct message *m);
/* Reply with the words of *@m and receive the next call into *@m, in one system call. */
s64 reply_receive(u64 reply_handle, u64 endpoint, struct message *m, u64 timeout_ns);

/* ---- pagers: docs/abi.md has the protocol ---- */

/*
 * Make an object of @pages pages whose pager is the caller; requests for its pages are calls at
 * @endpoint with @number.
 */
static inline s64 pager_bind(u64 endpoint, u64 pages, u64 number, u64 timeout_ns)
{
	return sys(SYS_PAGER_BIND, endpoint, pages, number, timeout_ns, 0);
}

static inline s64 pager_supply(u64 object, u64 page, const void *from)
{
	return sys(SYS_PAGER_SUPPLY, object, page, (u64)from, 0, 0);
}

static inline s64 pager_take_back(u64 object, u64 page, void *to)
{
	return sys(SYS_PAGER_TAKE_BACK, object, page, (u64)to, 0, 0);
}

static inline s64 pager_drop(u64 object, u64 page, u64 pages)
{
	return sys(SYS_PAGER_DROP, object, page, pages, 0, 0);
}

/* The kernel calls @endpoint when a thread of this task touches lost memory; 0: no endpoint. */
static inline s64 fault_handler(u64 endpoint)
{
	return sys(SYS_FAULT_HANDLER, endpoint, 0, 0, 0, 0);
}

/* ---- memory and threads ---- */

/*
 * An unused address range for @pages pages, with unused ranges before and behind it.  No address is
 * returned twice; page tables of all ranges ever used stay until the program ends.
 */
void *address_for(u64 pages);
/* Map zeroed memory of a new object at @at; unmap() frees it.  False: no memory. */
bool pages_map(void *at, u64 pages);
/* address_for() and pages_map() together; NULL: no memory. */
void *pages_alloc(u64 pages);

struct thread {
	void (*fn)(u64 arg);
	u64 arg;
	u32 done;
	void *stack;
};
/* Start a thread that runs fn(arg); 0 or an error. */
s64 thread_start(struct thread *t, void (*fn)(u64), u64 arg);
/* Wait until the thread has returned. */
void thread_join(struct thread *t);

/* ---- text ---- */

/*
 * Print one line or more, of at most ABI_MAX_WRITE bytes.  @fmt may have %d %u %x %s %c %%, with a
 * width, 0 and l.
 */
void printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memmove(void *dst, const void *src, size_t n);

/* xorshift64*; *state must not be 0. */
static inline u64 next_random(u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

#endif
