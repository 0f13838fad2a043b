/* SPDX-License-Identifier: MIT */
/* said_help.h: checks of printed text. */
#ifndef QUARRY_TESTS_SAID_HELP_H
#define QUARRY_TESTS_SAID_HELP_H

#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/string.h>

/* Are these words in the text? */
bool says(const char *text, const char *words);

unsigned times_in(const char *text, const char *words);
/* The text printed since @pos, at most 16 KiB; the next call overwrites it. */
const char *text_since(u64 pos);
/* Was @words printed since @pos? Other threads may print too. */
bool said(u64 pos, const char *words);

#endif
