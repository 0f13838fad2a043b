/* SPDX-License-Identifier: MIT */
/* host_format.c: formatting and showing of every hosted program, by libc. */
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

/* A hosted program shows all that is printed. */
void console_hide(void)
{
}

void console_unhide(void)
{
}

void console_mark(void)
{
}

void console_show_marked(void)
{
}

bool console_hidden(void)
{
	return false;
}

void console_say(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("%s", text);
}
