/* SPDX-License-Identifier: MIT */
/* ops.h: what ops.c, which works on the memory of a run, shares with checks.c, which looks at it. */
#ifndef QUARRY_RACES_OPS_H
#define QUARRY_RACES_OPS_H

#include "engine.h"
#include "mm/mm_priv.h"
#include <quarry/handle.h>
#include <quarry/smp.h>

#define MAX_HOARD 1024

/* NULL: freed, or never there. */
struct ops {
	struct memory *mem;
	struct page *p, *q, *k;
	pfn_t page_p, block_p, block_u, block_o; /* page_p 0: no scene */
	struct page *own[RACE_ROLES]; /* what a role allocated last */
	struct page *hoard[MAX_HOARD]; /* and all else */
	unsigned nr_hoard;
	struct handle_table objects;
	struct handle object[RACE_ROLES + 1]; /* one for each role, and O */
	u64 offline_cpu, from_alloc;          /* smp_stats when the memory was built */
};
extern struct ops ops;

#endif
