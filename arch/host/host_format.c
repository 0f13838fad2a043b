/* SPDX-License-Identifier: MIT */
/* host_format.c: kvsnprintf and ksnprintf of every hosted program, by libc. */
#include <quarry/console.h>
#include <quarry/port.h>
#include <stdio.h>

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	return vsnprintf(buf, size, fmt, ap);
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
