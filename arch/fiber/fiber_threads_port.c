/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads_port.c: log, panic and scheduling points for the kernel's threads on fibers.
 *
 * Owns: nothing.
 */
#include "fiber_threads.h"
#include <quarry/account.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/sched_point.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool threads_verbose;
void (*threads_on_print)(const char *text);

void *arch_boot_zalloc(size_t bytes)
{
	void *ptr = aligned_alloc(64, ALIGN_UP(bytes, 64));

	memset(ptr, 0, ALIGN_UP(bytes, 64));
	return ptr;
}

/* The scheduling points of RACE_BUILD; all are treated alike. */
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
	char text[512];
	va_list ap;

	if (!threads_verbose && !threads_on_print)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	if (threads_on_print)
		threads_on_print(text);
	else
		printf("%s", text);
	va_end(ap);
	fflush(stdout);
}

/* No log is kept. */
u64 log_position(void)
{
	return 0;
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
	return 0;
}

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
