/* SPDX-License-Identifier: MIT */
/*
 * test_contig_late.c: a range of pages that is not empty in time: the clock goes on by more than an
 * evacuation may take.  Hosted only.
 */
#include "tests/lib/mov_help.h"
#include <quarry/contig.h>

#define BLOCK(n)  ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 8u : 64u)
#define AHEAD_NS  6000000000ULL

static void go_ahead(struct page *dst, struct page *src)
{
	atomic_add(&hosted_clock_ahead, AHEAD_NS);
	mov.on_move = NULL;
}

KTEST_SUITE(contig_late, KTEST_QUICK);

/* The evacuation waits for a page in transit to the buddy allocator, which comes too late. */
KTEST(range_that_is_not_empty_in_time_is_busy)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE_SIZE);
	struct mm_fail fail = {0};
	struct page *late;
	unsigned policy;
	u32 word;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	for (policy = 0; policy < NR_ISO_POLICIES; policy++) {
		mem->policy = (enum iso_policy)policy;
		mov_fill_range(BLOCK(2), BLOCK(3));
		REQUIRE(t, mov.nr > 0);
		late = mov.pages[mov.nr - 1];
		word = page_word(late);
		WRITE_ONCE(late->word, PAGE_WORD(0, PG_FREEING, 0));
		mov.on_move = go_ahead;
		EXPECT_EQ(
		    t, alloc_contig_range(mem, BLOCK(2), BLOCK(3), MT_MOVABLE, &fail), -EBUSY);
		EXPECT_EQ(t, fail.why, WHY_DEADLINE);
		EXPECT(t, fail.pfn >= BLOCK(2) && fail.pfn < BLOCK(3));
		EXPECT(t, !mov.on_move);
		EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].nr_isolated, 0);
		WRITE_ONCE(late->word, word);
		while (mov.nr > 0)
			mov_free(--mov.nr);
	}
	mov_end(t);
}
