/* SPDX-License-Identifier: MIT */
/*
 * rich_help.h: a sound memory that has something of everything, at rest: free, cached, allocated,
 * pinned, kept, isolated, reserved, broken and mapped pages; pageblocks in each state; claims.
 */
#ifndef QUARRY_TESTS_RICH_HELP_H
#define QUARRY_TESTS_RICH_HELP_H

#include "tests/lib/vm_help.h"

/* Pages by what they are; DOOMED and TAIL are the second page of a block of two. */
enum rich_page {
	RICH_FREE,
	RICH_CACHED,
	RICH_USED,
	RICH_TAIL,
	RICH_DOOMED,
	RICH_MAPPED,
	RICH_PINNED,
	RICH_TAKEN,
	RICH_FREEING,
	RICH_RESERVED,
	RICH_RETIRED,
	RICH_OFFLINE,
	NR_RICH_PAGES
};
/* Pageblocks; that of standby memory has no tree. */
enum rich_block {
	RICH_WHOLE,
	RICH_PART,
	RICH_LENT,
	RICH_ISOLATED,
	RICH_BROKEN,
	RICH_GONE,
	RICH_HOLE,
	RICH_STANDBY,
	NR_RICH_BLOCKS
};
#define RICH_SLOTS 6u /* pages of the mapped object */

struct rich {
	struct memory *mem;
	struct vm_object *object, *anon; /* mapped; not mapped */
	struct vm_space *space;
	struct page *page[NR_RICH_PAGES];
	pfn_t block[NR_RICH_BLOCKS];
	struct range_claim claim, second; /* of RICH_ISOLATED; of no isolated pageblock */
};

/* Build it; false: the test has failed.  No thread of the memory runs. */
bool rich_begin(struct ktest *t, struct rich *r);
void rich_end(struct ktest *t, struct rich *r);
/* check_memory while no other CPU uses the memory; false: *@v is the damage. */
bool rich_check(struct rich *r, struct mm_violation *v);

#endif
