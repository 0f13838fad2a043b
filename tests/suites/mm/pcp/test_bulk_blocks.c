/* SPDX-License-Identifier: MIT */
/*
 * test_bulk_blocks.c: the kernel's own pages, freed together, of pageblocks of which one is
 * isolated: the fast path of bulk frees, which takes pages of one stack together, asks each
 * pageblock.
 */
#include "tests/lib/mm_help.h"
#include <quarry/contig.h>
#include <quarry/isolation.h>

#define AT_ONCE 6u /* pages freed together, half of them of each of two pageblocks */

/* Two pageblocks side by side, with all their pages allocated; PFN_NONE: there are none. */
static pfn_t take_two_blocks(struct memory *mem)
{
	pfn_t pfn = ALIGN_DOWN(mem->end_pfn, PAGEBLOCK_PAGES);

	while (pfn >= mem->start_pfn + 2 * PAGEBLOCK_PAGES) {
		pfn -= PAGEBLOCK_PAGES;
		if (!alloc_contig_range(mem, pfn, pfn + 2 * PAGEBLOCK_PAGES, MT_MOVABLE, NULL))
			return pfn;
	}
	return PFN_NONE;
}

/* Free pages of both pageblocks, those at @first first; those of the pageblock @iso stay out. */
static void free_across(struct ktest *t, struct memory *mem, pfn_t first, pfn_t second, pfn_t iso)
{
	struct page *pages[AT_ONCE];
	unsigned i;

	for (i = 0; i < AT_ONCE; i++)
		pages[i] =
		    pfn_to_page_in(mem, i < AT_ONCE / 2 ? first + i : second + i - AT_ONCE / 2);
	REQUIRE(t, start_isolate_page_range(mem, iso, PAGEBLOCK_PAGES, ISO_PRECISE, NULL) == 0);
	EXPECT_EQ(t, free_pages_bulk(AT_ONCE, pages), 0);
	for (i = 0; i < AT_ONCE; i++) {
		if (ALIGN_DOWN(page_to_pfn_in(mem, pages[i]), PAGEBLOCK_PAGES) == iso)
			EXPECT(t, word_state(page_word(pages[i])) != PG_PCP);
	}
	undo_isolate_page_range(mem, iso, PAGEBLOCK_PAGES);
}

static void a_bulk_free_asks_each_pageblock(struct ktest *t)
{
	struct memory *mem = &kernel_memory;
	pfn_t a = PAGEBLOCK_PAGES < 64 ? PFN_NONE : take_two_blocks(mem), b = a + PAGEBLOCK_PAGES,
	      at;

	if (a == PFN_NONE) {
		ktest_skip(t, "no two pageblocks are free, or they are too small");
		return;
	}
	/* The last pages of the first pageblock and the first ones of the next; and the reverse. */
	free_across(t, mem, b - AT_ONCE / 2, b, b);
	free_across(t, mem, b + 10, a + 10, a);
	/* Between pages of another pageblock, whose stack is another one. */
	free_across(t, mem, a + 20, b + 20, a);
	free_across(t, mem, a + 30, b + 30, b);
	for (at = a; at < b + PAGEBLOCK_PAGES; at++) {
		struct page *page = pfn_to_page_in(mem, at);

		if (word_state(page_word(page)) == PG_ALLOC)
			EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	}
	drain_all_pages(mem, NULL);
}

KTEST_SUITE(bulk_blocks, 0, KTEST(a_bulk_free_asks_each_pageblock));
