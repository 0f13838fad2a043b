/* SPDX-License-Identifier: MIT */
/*
 * entry.h: helpers of public functions of mm/: the report of a failure, and trace records of many
 * pages.
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
 * Write a trace record for each page of an array of @nr, of which some may be NULL (trace_ring.c).
 * For a free it is called before the pages are freed.  Any context.
 */
void trace_bulk(
    struct memory *mem, enum trace_kind kind, struct page *const *pages, unsigned long nr);

#endif
