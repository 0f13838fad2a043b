/* SPDX-License-Identifier: MIT */
/*
 * lib.c: the library that every program is linked with.
 *
 * Owns:       the addresses from AREA on; each is handed out once.
 * Invariants: none.
 */
#include "quarry.h"

#include <stdarg.h>

#define AREA        0x100000000UL
#define STACK_PAGES 4

/* ---- system calls ---- */

void exit(int status)
{
	sys(SYS_EXIT, (u64)(s64)status, 0, 0, 0, 0);
	__builtin_trap();
}

s64 task_create_limited(
    u64 programs, const char *name, u64 give, u64 arg0, u64 arg1, const struct abi_limits *limits)
{
	u64 arg[7] = {programs, (u64)name, strlen(name), give, arg0, arg1, (u64)limits};

	return sys_regs(SYS_TASK_CREATE, arg);
}

s64 task_create(u64 programs, const char *name, u64 give, u64 arg0, u64 arg1)
{
	return task_create_limited(programs, name, give, arg0, arg1, NULL);
}

s64 task_wait(u64 task, u64 timeout_ns, int *status)
{
	u64 arg[7] = {task, timeout_ns};
	s64 how = sys_regs(SYS_TASK_WAIT, arg);

	if (how >= 0)
		*status = (int)arg[1];
	return how;
}

/*
 * Make a system call with *@first, @second and the message @m.  The results replace *@first and, if
 * it succeeds, *@m.
 */
static s64 exchange(u64 nr, u64 *first, u64 second, struct message *m)
{
	register u64 r10 __asm__("r10") = m->word[1];
	register u64 r8 __asm__("r8") = m->word[2];
	register u64 r9 __asm__("r9") = m->word[3];
	register u64 r12 __asm__("r12") = m->handle;
	u64 word = m->word[0];
	s64 ret = (s64)nr;

	__asm__ volatile("syscall"
	                 : "+a"(ret), "+D"(*first), "+S"(second), "+d"(word), "+r"(r10), "+r"(r8),
	                 "+r"(r9), "+r"(r12)
	                 :
	                 : "rcx", "r11", "memory");
	if (ret >= 0)
		*m = (struct message){{word, r10, r8, r9}, r12};
	return ret;
}

s64 call(u64 endpoint, struct message *m, u64 timeout_ns)
{
	return exchange(SYS_CALL, &endpoint, timeout_ns, m);
}

s64 receive(u64 endpoint, struct message *m, u64 timeout_ns)
{
	s64 ret = exchange(SYS_RECEIVE, &endpoint, timeout_ns, m);

	return ret < 0 ? ret : (s64)endpoint;
}

s64 reply(u64 reply_handle, const struct message *m)
{
	struct message copy = *m;

	return exchange(SYS_REPLY, &reply_handle, 0, &copy);
}

s64 reply_receive(u64 reply_handle, u64 endpoint, struct message *m, u64 timeout_ns)
{
	struct message copy = *m;
	s64 ret;

	/* This call gives no handle; its register has the time limit. */
	copy.handle = timeout_ns;
	ret = exchange(SYS_REPLY_RECEIVE, &reply_handle, endpoint, &copy);
	if (ret < 0)
		return ret;
	*m = copy;
	return (s64)reply_handle;
}

/* ---- memory and threads ---- */

void *address_for(u64 pages)
{
	static u64 used;
	u64 size = (pages + 1) * ABI_PAGE_SIZE;

	return (void *)(AREA + __atomic_fetch_add(&used, size, __ATOMIC_RELAXED));
}

bool pages_map(void *at, u64 pages)
{
	s64 object = object_create(pages), err;

	if (object < 0)
		return false;
	err = map((u64)object, at, pages, 0, ABI_READ | ABI_WRITE);
	handle_close((u64)object);
	return !err;
}

void *pages_alloc(u64 pages)
{
	void *at = address_for(pages);

	return pages_map(at, pages) ? at : NULL;
}

static void thread_main(struct thread *t)
{
	t->fn(t->arg);
	__atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
	sys(SYS_THREAD_EXIT, 0, 0, 0, 0, 0);
	__builtin_trap();
}

s64 thread_start(struct thread *t, void (*fn)(u64), u64 arg)
{
	u64 top;
	s64 ret;

	*t = (struct thread){.fn = fn, .arg = arg, .stack = pages_alloc(STACK_PAGES)};
	if (!t->stack)
		return -ENOMEM;
	/* The stack is as after a call instruction: 8 bytes off a multiple of 16. */
	top = (u64)t->stack + STACK_PAGES * ABI_PAGE_SIZE - 8;
	ret = sys(SYS_THREAD_CREATE, (u64)thread_main, top, (u64)t, 0, 0);
	if (ret < 0)
		unmap(t->stack, STACK_PAGES);
	return ret < 0 ? ret : 0;
}

/* The thread's stack is not freed: the thread may still be using it. */
void thread_join(struct thread *t)
{
	while (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE))
		sleep_ns(NS_PER_MS);
}

/* ---- text ---- */

struct out {
	char text[ABI_MAX_WRITE];
	size_t len;
};

static void put(struct out *o, char c)
{
	if (o->len < sizeof(o->text))
		o->text[o->len++] = c;
}

static void put_padded(struct out *o, const char *s, size_t len, unsigned width, char pad)
{
	for (; width > len; width--)
		put(o, pad);
	while (len--)
		put(o, *s++);
}

static void put_number(
    struct out *o, u64 value, unsigned base, bool minus, unsigned width, char pad)
{
	char digits[24], *p = digits + sizeof(digits);

	do
		*--p = "0123456789abcdef"[value % base];
	while (value /= base);
	if (minus)
		*--p = '-';
	put_padded(o, p, (size_t)(digits + sizeof(digits) - p), width, pad);
}

static void put_signed(struct out *o, s64 value, unsigned width, char pad)
{
	put_number(o, value < 0 ? 0 - (u64)value : (u64)value, 10, value < 0, width, pad);
}

void printf(const char *fmt, ...)
{
	struct out o = {.len = 0};
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		unsigned width = 0, longs = 0;
		char pad = ' ';
		const char *s;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		if (*++fmt == '0')
			pad = *fmt++;
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + (unsigned)(*fmt++ - '0');
		while (*fmt == 'l' || *fmt == 'z')
			longs += *fmt++ != 0;
		switch (*fmt) {
		case 'd':
			put_signed(&o, longs ? va_arg(ap, s64) : va_arg(ap, int), width, pad);
			break;
		case 'u':
		case 'x':
			put_number(&o, longs ? va_arg(ap, u64) : va_arg(ap, u32),
			    *fmt == 'u' ? 10 : 16, false, width, pad);
			break;
		case 's':
			s = va_arg(ap, const char *);
			put_padded(&o, s, strlen(s), width, ' ');
			break;
		case 'c': put(&o, (char)va_arg(ap, int)); break;
		case '\0': fmt--; break;
		default: put(&o, *fmt);
		}
	}
	va_end(ap);
	sys(SYS_DEBUG_WRITE, (u64)o.text, o.len, 0, 0, 0);
}

size_t strlen(const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;
	return len;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

/* In assembly, because compilers turn such loops into calls of these functions. */
void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	const char *s = src;
	char *d = dst;

	if (d <= s || d >= s + n)
		return memcpy(dst, src, n);
	while (n--) {
		d[n] = s[n];
		__asm__ volatile("" : : : "memory");
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;
	size_t i;

	for (i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}
