/* SPDX-License-Identifier: MIT */
/* handle_help.h: a table of handles; one test at a time. */
#ifndef QUARRY_TESTS_HANDLE_HELP_H
#define QUARRY_TESTS_HANDLE_HELP_H

#include "tests/lib/mm_test.h"
#include <quarry/handle.h>

#define HANDLES 24

/* An empty table, whose objects are in @mem. */
static inline struct handle_table *new_table(struct memory *mem)
{
	static struct handle handles[HANDLES];
	static struct handle_table table;

	handle_table_init(&table, mem, handles, HANDLES);
	return &table;
}

static inline struct page *page_of(struct handle_table *ht, u32 h)
{
	return pfn_to_page_in(ht->mem, handle_pfn(ht, h));
}

#endif
