/* SPDX-License-Identifier: MIT */
/* handle_help.h: a table of handles; one test at a time. */
#ifndef QUARRY_TESTS_HANDLE_HELP_H
#define QUARRY_TESTS_HANDLE_HELP_H

#include "tests/lib/mm_test.h"
#include <quarry/handle.h>

#define HANDLES 24

/* An empty table, whose objects are in @mem. */
struct handle_table *new_table(struct memory *mem);

struct page *page_of(struct handle_table *ht, u32 h);

#endif
