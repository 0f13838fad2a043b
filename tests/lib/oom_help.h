/* SPDX-License-Identifier: MIT */
/*
 * oom_help.h: helpers of the suites of the OOM killer: a memory without free pages, and a hook that
 * stands in for the killer.
 */
#ifndef QUARRY_TESTS_OOM_HELP_H
#define QUARRY_TESTS_OOM_HELP_H

#include "tests/lib/pager_help.h"
#include <quarry/oom.h>

/* How the hook behaves, and its last arguments; one test at a time. */
struct killer {
	struct memory *mem;
	struct pile *hoard; /* the pages that the test holds, so that memory is short */
	bool nobody;        /* the hook finds no victim */
	bool at_once;       /* the victim is gone when the hook returns */
	unsigned give;      /* pages of the hoard that a dying victim frees */
	u32 calls;          /* atomic: calls of the hook */
	gfp_t gfp;
	unsigned order;
};
extern struct killer killer;

/* The victim frees its pages and is reported as gone. */
void killer_victim_dies(struct killer *k);
/*
 * A memory and a killer whose victim never exits. @hoard has all pages but those below the
 * watermarks, and no page can be reclaimed. NULL: no memory, and the test has failed.
 */
struct memory *killer_begin(struct ktest *t, struct pile *hoard);
/* Give the hoard back. */
void killer_end(struct ktest *t, struct memory *mem);
/*
 * Free pages of the hoard until @nr pages of zone MOVABLE are free; no two of them are buddies. The
 * other pages that were popped are in @kept.
 */
void free_single_pages(struct ktest *t, struct memory *mem, struct pile *kept, unsigned long nr);
/* Can a block be allocated?  It is freed again. */
bool alloc_one(struct memory *mem, gfp_t gfp, unsigned order);

#endif
