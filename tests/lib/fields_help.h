/* SPDX-License-Identifier: MIT */
/*
 * fields_help.h: the table of fields (fields_help.c): what check_memory says of values planted in
 * them.
 */
#ifndef QUARRY_TESTS_FIELDS_HELP_H
#define QUARRY_TESTS_FIELDS_HELP_H

#include "tests/lib/rich_help.h"

/* Letters for them in struct row: 0 + - t o r. */
enum planted { ZERO, MORE, LESS, TOP, OTHER, RANDOM, NR_PLANTED };

struct row {
	const char *type, *field;
	unsigned offset, size, nr; /* elements of @size bytes */
	bool is_bool;
	/* Instance number @i of the structure; NULL: there is none.  No function: not planted. */
	void *(*at)(struct rich *r, unsigned i);
	/* Letters of the values that must be named; others may be sound. */
	const char *must;
	/* The beginnings of names that the damage may have, with | between them; NULL: sound. */
	const char *names;
	const char *why; /* why a wrong value cannot matter, or cannot be planted */
};
extern const struct row rows[];
extern const unsigned nr_rows;

#endif
