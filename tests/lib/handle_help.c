/* SPDX-License-Identifier: MIT */
/* handle_help.c: see handle_help.h. */
#include "tests/lib/handle_help.h"

static struct handle handles[HANDLES];
static struct handle_table table;

struct handle_table *new_table(struct memory *mem)
{
	handle_table_init(&table, mem, handles, HANDLES);
	return &table;
}

struct page *page_of(struct handle_table *ht, u32 h)
{
	return pfn_to_page_in(ht->mem, handle_pfn(ht, h));
}
