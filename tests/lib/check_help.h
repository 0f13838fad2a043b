/* SPDX-License-Identifier: MIT */
/*
 * check_help.h: a memory at rest, damage that is planted in it, and what check_memory says of that.
 */
#ifndef QUARRY_TESTS_CHECK_HELP_H
#define QUARRY_TESTS_CHECK_HELP_H

#include "tests/lib/mm_help.h"
#include "tests/lib/plant_help.h"
#include <quarry/poison.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

static struct page *page; /* of order 0, allocated in zone NORMAL: one free block of each lower order */

/* Zone NORMAL of 4 pageblocks, the one that @page lies in cut down; zone MOVABLE of 4, all free. */
static inline struct memory *sound_memory(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 4, 4);

	if (!mem)
		return NULL;
	EXPECT_EQ(t, alloc_on(0, mem, GFP_KERNEL, 0, 1, &page), 1);
	empty_all(mem);
	expect_sound(t, mem);
	return mem;
}

static inline void end(struct ktest *t, struct memory *mem)
{
	expect_sound(t, mem);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
}

/*
 * check_memory fails, and what it says starts with @name; also if there is more damage, in what it looks at last:
 * it says what it finds first.
 */
static inline void expect_named(struct ktest *t, struct memory *mem, const char *name, int line)
{
	u16 *last = &mem->zones[ZONE_MOVABLE].pcp_capacity[NR_CACHED_ORDERS - 1][0], saved = *last;

	expect_said(t, mem, name, line);
	*last = 0xffff;
	expect_said(t, mem, name, line);
	*last = saved;
}

/* What it says besides, of damage that is there. */
static inline void expect_figures(struct ktest *t, struct memory *mem, unsigned long pfn, unsigned long have,
    unsigned long want, int line)
{
	struct mm_violation v = {.what = NULL};

	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	if (v.pfn != pfn || v.have != have || v.want != want)
		ktest_fail(t, __FILE__, line, "%s: said %#lx %lu %lu, not %#lx %lu %lu", v.what ? v.what : "nothing",
		    v.pfn, v.have, v.want, pfn, have, want);
}

#endif
