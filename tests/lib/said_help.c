/* SPDX-License-Identifier: MIT */
/* said_help.c: see said_help.h. */
#include "tests/lib/said_help.h"

bool says(const char *text, const char *words)
{
	size_t len = strlen(words);

	for (; *text; text++) {
		if (strncmp(text, words, len) == 0)
			return true;
	}
	return false;
}

bool said(u64 pos, const char *words)
{
	static char text[4096];

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	return says(text, words);
}
