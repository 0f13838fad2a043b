/* SPDX-License-Identifier: MIT */
/* said_help.c: see said_help.h. */
#include "tests/lib/said_help.h"

unsigned times_in(const char *text, const char *words)
{
	size_t len = strlen(words);
	unsigned times = 0;

	for (; *text; text++)
		times += strncmp(text, words, len) == 0;
	return times;
}

bool says(const char *text, const char *words)
{
	return times_in(text, words) > 0;
}

const char *text_since(u64 pos)
{
	static char text[16384];

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	return text;
}

bool said(u64 pos, const char *words)
{
	return says(text_since(pos), words);
}
