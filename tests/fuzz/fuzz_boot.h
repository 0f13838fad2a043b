/* SPDX-License-Identifier: MIT */
/* fuzz_boot.h: log, panic and exact copies, for the parsers that run first at boot. */
#ifndef QUARRY_TESTS_FUZZ_BOOT_H
#define QUARRY_TESTS_FUZZ_BOOT_H

#include "fuzz.h"
#include <stdarg.h>

bool host_fuzz_log;
int printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void printk(const char *fmt, ...)
{
}

void panic(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	__builtin_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("PANIC: %s\n", text);
	__builtin_trap();
}

/* A copy in a block of exactly @len bytes: an access behind them is a finding. */
static inline void *exact_copy(const void *from, size_t len)
{
	void *copy = __builtin_malloc(len);

	MUST(copy || !len, "no memory");
	if (len)
		memcpy(copy, from, len);
	return copy;
}

#endif
