/* SPDX-License-Identifier: MIT */
/*
 * entry.h: what public functions of mm/ share: the report of a failure, the records of many pages.
 */
#ifndef QUARRY_MM_ENTRY_H
#define QUARRY_MM_ENTRY_H

#include <quarry/mm.h>

/* Fill @fail (may be NULL) and pass @err on. */
static inline int mm_fail(struct mm_fail *fail, pfn_t pfn, enum mm_why why, int err)
{
	if (fail)
		*fail = (struct mm_fail){.pfn = pfn, .why = why};
	return err;
}

/*
 * A record for each page of an array of @nr (trace_ring.c), some of which may be NULL.  Any
 * context; of a free, before it.
 */
void trace_bulk(
    struct memory *mem, enum trace_kind kind, struct page *const *pages, unsigned long nr);

#endif
