/* SPDX-License-Identifier: MIT */
/*
 * test_contig_exact.c: a page that breaks anywhere in a range while it is being emptied; and
 * pageblocks behind a range.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/poison_help.h"
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>

#define BLOCKS 8u
#define LAST   BLOCK(5) /* the end of the range */

static pfn_t broken;

static void break_page(struct page *dst, struct page *src)
{
	EXPECT_EQ(mov.t, mem_soft_offline_page(mov.mem, broken), 0);
	mov.on_move = NULL;
}

static int alloc_range(struct memory *mem, pfn_t start, pfn_t end, struct mm_fail *fail)
{
	return alloc_contig_range(mem, start, end, MT_MOVABLE, fail);
}

KTEST_SUITE(contig_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* Either no page of the range is taken, or the taken pages are freed. */
KTEST_CONTRACT(page_that_breaks_at_the_end_is_found_anywhere)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct mm_fail fail;
	unsigned i;
	u64 passes;

	REQUIRE(t, mov_begin(t, mem));
	all_caches_off(t, mem);
	for (i = 2; i < 5; i++) {
		/* The last page that moves: the pages before it are free, and stay so. */
		mov.pages[0] = hold_pfn(mem, BLOCK(2) + 1);
		REQUIRE(t, word_state(page_word(mov.pages[0])) == PG_ALLOC);
		make_movable(mem, mov.pages[0], &mov.owner, 0);
		mov.nr = 1;
		mov.on_move = break_page;
		broken = BLOCK(i) + 3;
		EXPECT_EQ(t, alloc_range(mem, BLOCK(2) + 1, LAST, &fail), -EBUSY);
		EXPECT_EQ(t, fail.why, WHY_HWPOISON);
		EXPECT_EQ(t, fail.pfn, broken);
		EXPECT_EQ(t, mov.moved, i - 1);
		mov_free(0);
		EXPECT_EQ(t, memory_free_pages(mem), BLOCK(BLOCKS) - 1);
		EXPECT_EQ(t, mem->zones[ZONE_MOVABLE].nr_isolated, 0);
		/* From then on it is found at once.  Outside the range it does not matter. */
		passes = mm_event_sum(mem, EV_OFFLINE_LOOPS);
		EXPECT_EQ(t, alloc_range(mem, BLOCK(2) + 1, LAST, &fail), -EBUSY);
		EXPECT_EQ(t, fail.pfn, broken);
		EXPECT_EQ(t, mm_event_sum(mem, EV_OFFLINE_LOOPS), passes);
		EXPECT_EQ(t, alloc_range(mem, broken - 2, broken, &fail), 0);
		EXPECT_EQ(t, alloc_range(mem, broken + 1, broken + 3, &fail), 0);
		EXPECT_EQ(t, free_contig_range(mem, broken - 2, 2), 0);
		EXPECT_EQ(t, free_contig_range(mem, broken + 1, 2), 0);
		EXPECT_EQ(t, mem_unpoison_page(mem, broken), 0);
	}
	mov.nr = 0;
	mov_end(t);
}

/* A broken page that is still in use: no page is counted as retired yet. */
KTEST_CONTRACT(broken_page_in_use_is_found_before_any_change)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, BLOCKS));
	struct page *page = NEED(t, hold_pfn(mem, BLOCK(3) + 1));
	u64 isolated = mm_event_sum(mem, EV_ISO_BLOCKS);
	struct mm_fail fail;

	REQUIRE(t, word_state(page_word(page)) == PG_ALLOC);
	doom_page(mem, BLOCK(3) + 1);
	EXPECT_EQ(t, alloc_range(mem, BLOCK(2) + 1, LAST, &fail), -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_HWPOISON);
	EXPECT_EQ(t, fail.pfn, BLOCK(3) + 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_BLOCKS), isolated);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(3) + 1), 0);
}

/* A pageblock behind the range does not matter, whatever its state. */
KTEST(pageblock_behind_the_range_does_not_matter)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, BLOCKS, 0));
	unsigned i;

	EXPECT_EQ(t, offline_pages(mem, BLOCK(3), BLOCK(1), NULL, NULL), 0);
	set_type(&mem->zones[ZONE_NORMAL], BLOCK(5), MT_CMA);
	for (i = 2; i <= 4; i += 2) {
		EXPECT_EQ(
		    t, alloc_contig_range(mem, BLOCK(i), BLOCK(i + 1), MT_UNMOVABLE, NULL), 0);
		EXPECT_EQ(t, free_contig_range(mem, BLOCK(i), BLOCK(1)), 0);
	}
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(5))), MT_CMA);
	EXPECT_EQ(t, online_pages(mem, BLOCK(3), BLOCK(1), NULL), 0);
}
