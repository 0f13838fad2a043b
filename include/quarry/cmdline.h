/* SPDX-License-Identifier: MIT */
/* cmdline.h: the options of the kernel's command line (kernel/cmdline.c). */
#ifndef QUARRY_CMDLINE_H
#define QUARRY_CMDLINE_H

#include <quarry/types.h>

enum option_kind {
	OPT_TEXT,    /* anything without blanks */
	OPT_CHOICE,  /* one word of a list */
	OPT_NUMBER,  /* decimal, or 0x and hexadecimal */
	OPT_PERCENT, /* a number, with or without % */
	OPT_SIZE,    /* MiB; or a number with M, G or T */
	OPT_RANGE,   /* N, or N-M with N <= M */
};

struct cmdline_option {
	const char *name;
	const char *help; /* one line of explanation */
	enum option_kind kind;
	const char *choices; /* OPT_CHOICE: separated by blanks */
	u64 min, max;        /* of each number, in the option's unit */
	const char *unit;    /* of a number, plural; "": none */
};

/* The values of fault=, as in the table of demo/provoke.c. */
#define FAULT_NAMES                                                                                \
	"badfree corrupt freelist null printk both report silent mcering nulls overflow mce talk " \
	"talknull"

/*
 * Split @line at blanks and take the words that are options: name=value.  Unknown names, malformed
 * values and values out of range are reported, with the allowed ones; the option then keeps its
 * default.  @truncated: the loader cut the line.  Called once, before the functions below.
 */
void cmdline_init(const char *line, bool truncated);
/* The value as typed ("" for a bare name), or @def if it was not given; valid for ever. */
const char *cmdline_get(const char *name, const char *def);
/*
 * The value of a number, percentage or size, in the option's unit and range; or @def if it was not
 * given.
 */
u64 cmdline_u64(const char *name, u64 def);
/* The values of a range; false if it was not given. */
bool cmdline_range(const char *name, u64 *first, u64 *last);
/* Print all options. */
void cmdline_help(void);

/*
 * Check @value for the option @name.  Returns 0; -ENOENT no such option; -EINVAL malformed; -ERANGE
 * out of range.
 */
int cmdline_check(const char *name, const char *value);
/* The options in their order; NULL behind the last. */
const struct cmdline_option *cmdline_option(unsigned i);

/*
 * strtoull with an error: 0, or -EINVAL unless all of @s is one number (decimal, or 0x and hex)
 * below 2^64.
 */
int parse_u64(const char *s, u64 *value);

#endif
