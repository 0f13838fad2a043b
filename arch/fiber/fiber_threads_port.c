/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads_port.c: log, panic and scheduling points for the kernel's threads on fibers.
 *
 * Owns: the log.
 */
#include "fiber_threads.h"
#include <quarry/account.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/hotplug.h>
#include <quarry/log_ring.h>
#include <quarry/machine.h>
#include <quarry/sched_point.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool threads_verbose;
void (*threads_on_print)(const char *text);
static char log_bytes[16384];
static struct log_ring kept = {.bytes = log_bytes, .size = sizeof(log_bytes)};

void *arch_boot_zalloc(size_t bytes)
{
	void *ptr = aligned_alloc(64, ALIGN_UP(bytes, 64));

	if (!ptr)
		panic("the host has no %zu bytes", bytes);
	memset(ptr, 0, ALIGN_UP(bytes, 64));
	return ptr;
}

#ifdef RACE_BUILD
/* The scheduling points; all are treated alike. */
void race_point(const char *name)
{
	fiber_at_lock();
}

void race_lock_wait(const char *lock)
{
}

void race_look(const void *what)
{
	fiber_at_lock();
}

bool race_looked(const void *what, bool sleeps, bool found)
{
	fiber_at_lock();
	return found;
}

void race_wake(const void *what)
{
	fiber_at_lock();
}

u64 race_time(u64 ns)
{
	return ns;
}

bool race_turns(bool had)
{
	return had;
}
#endif

void arch_backtrace_self(void)
{
}

void arch_backtrace_others(void)
{
}

const char *cmdline_get(const char *name, const char *def)
{
	return !strcmp(name, "idle_tick") ? "fast" : def;
}

/* ---- log and panic ---- */

void printk(const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int len;

	if (!threads_verbose && !threads_on_print)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_ring_put(&kept, text, (size_t)MIN(len, (int)sizeof(text) - 1));
	if (threads_on_print)
		threads_on_print(text);
	else
		printf("%s", text);
	fflush(stdout);
}

#ifdef RACE_BUILD
/* The tests of these programs make the kernel report silent CPUs and devices: no log is kept. */
u64 log_position(void)
{
	return 0;
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
	return 0;
}
#else
u64 log_position(void)
{
	return kept.end;
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
	return log_ring_get(&kept, pos, buf, size);
}
#endif

void panic(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	threads_on_panic(text);
	abort();
}
