/* SPDX-License-Identifier: MIT */
/* said_help.h: what has been printed. */
#ifndef QUARRY_TESTS_SAID_HELP_H
#define QUARRY_TESTS_SAID_HELP_H

#include <quarry/port.h>

/* Are these words in the text? */
static inline bool says(const char *text, const char *words)
{
	size_t len = strlen(words);

	for (; *text; text++) {
		if (strncmp(text, words, len) == 0)
			return true;
	}
	return false;
}

/* Was @words printed since @pos?  Others may print too. */
static inline bool said(u64 pos, const char *words)
{
	static char text[4096];

	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
	return says(text, words);
}

#endif
