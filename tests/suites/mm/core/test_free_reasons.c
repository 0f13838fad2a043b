/* SPDX-License-Identifier: MIT */
/*
 * test_free_reasons.c: the report of a refused free: the reason, and the history of the page; the
 * kernel's own bulk forms with bad pages among good ones; and recorded requests.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/said_help.h"
#include <quarry/console.h>
#include <quarry/memory_hotplug.h>

static char text[4096];

/* The free of @page is refused; the message is in text[]. */
static void refuse(struct ktest *t, struct memory *mem, struct page *page, unsigned order)
{
	u64 pos = log_position();

	EXPECT_EQ(t, mem_free_pages(mem, page, order), -EINVAL);
	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
}

static const char *const reasons[] = {"no such page", "no such order", "page is offline",
    "double free", "not the head of an allocated block", "not allocated by alloc_pages",
    "wrong order", "still referenced or flagged", "still pinned", "two CPUs"};
enum { NO_PAGE, NO_ORDER, OFFLINE, DOUBLE, TAIL, IN_USE, WRONG_ORDER, REFERENCED, PINNED };

static void expect_reason_at(struct ktest *t, struct memory *mem, struct page *page, unsigned order,
    unsigned reason, int line)
{
	unsigned i;

	refuse(t, mem, page, order);
	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (says(text, reasons[i]) != (i == reason))
			ktest_fail(t, __FILE__, line, "\"%s\" is %ssaid", reasons[i],
			    i == reason ? "not " : "");
	}
}
#define expect_reason(t, mem, page, order, reason)                                                 \
	expect_reason_at((t), (mem), (page), (order), (reason), __LINE__)

KTEST_SUITE(free_reasons, KTEST_QUICK);

KTEST(each_refusal_has_a_reason, KTEST_REPORTS)
{
	static const struct {
		enum page_state state;
		unsigned reason;
	} states[] = {{PG_PCP, DOUBLE}, {PG_FREEING, DOUBLE}, {PG_TAIL, TAIL},
	    {PG_RESERVED, IN_USE}, {PG_SLAB, IN_USE}, {PG_PGTABLE, IN_USE}, {PG_OBJECT, IN_USE},
	    {PG_MOVABLE_OPS, IN_USE}, {PG_LRU, IN_USE}, {PG_ISO_MIG, IN_USE}, {PG_BALLOON, IN_USE},
	    {PG_HWPOISON, IN_USE}};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct page foreign = {.word = 0};
	struct page *page;
	unsigned i;

	expect_reason(t, mem, NULL, 0, NO_PAGE);
	expect_reason(t, mem, &foreign, 0, NO_PAGE);
	expect_reason(t, mem, pfn_to_page_in(mem, mem->end_pfn), 0, NO_PAGE);
	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 2));
	expect_reason(t, mem, page, MAX_ORDER + 1, NO_ORDER);
	expect_reason(t, mem, page, ~0u, NO_ORDER);
	expect_reason(t, mem, page, 1, WRONG_ORDER);
	expect_reason(t, mem, page, 3, WRONG_ORDER);
	expect_reason(t, mem, page + 1, 0, TAIL);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		WRITE_ONCE(page->word, PAGE_WORD(0, states[i].state, 2));
		expect_reason(t, mem, page, 2, states[i].reason);
	}
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 2));
	EXPECT_EQ(t, get_page(page), 0);
	expect_reason(t, mem, page, 2, REFERENCED);
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	EXPECT_EQ(t, pin_page(page), 0);
	expect_reason(t, mem, page, 2, REFERENCED);
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	expect_reason(t, mem, page, 2, PINNED);
	mem_unpin_page(mem, page);
	/* A free block begins at this page. */
	page = pfn_to_page_in(mem, mem->end_pfn - PAGEBLOCK_PAGES);
	expect_reason(t, mem, page, 0, DOUBLE);
	expect_reason(t, mem, page, MAX_ORDER, DOUBLE);
	expect_reason(t, mem, page + 1, 0, TAIL);
	REQUIRE(
	    t, !offline_pages(mem, mem->end_pfn - PAGEBLOCK_PAGES, PAGEBLOCK_PAGES, NULL, NULL));
	expect_reason(t, mem, page, 0, OFFLINE);
	expect_reason(t, mem, page, MAX_ORDER, OFFLINE);
}

/* A report has the events before the refusal; the next report has the refusal too. */
KTEST(a_report_has_the_history_of_the_page, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct trace_hit hit[4];
	struct page *page;
	char want[60];

	page = NEED(t, take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE));
	ksnprintf(
	    want, sizeof(want), "history of pfn %#lx: nothing recorded", page_to_pfn_in(mem, page));
	refuse(t, mem, page, 1);
	EXPECT(t, says(text, want));
	EXPECT_EQ(t, trace_find(mem, page_to_pfn_in(mem, page), hit, ARRAY_SIZE(hit)), 1);
	EXPECT_EQ(t, hit[0].rec.kind, TR_bad_free);
	refuse(t, mem, page, 2);
	EXPECT(t, !says(text, want));
	EXPECT(t, says(text, "bad_free pfn"));
	EXPECT_EQ(t, trace_find(mem, page_to_pfn_in(mem, page), hit, ARRAY_SIZE(hit)), 2);
	/* A page of another memory has no history here. */
	refuse(t, mem, pfn_to_page_in(mem, mem->end_pfn), 0);
	EXPECT(t, !says(text, "history"));
	give_block(&mem->zones[ZONE_NORMAL], page);
}

/* ---- the kernel's own memory ---- */

KTEST(bad_pages_among_good_ones_are_reported, KTEST_REPORTS)
{
	struct page *pages[6], *middle;
	unsigned long refused;
	bool panics;
	u64 bad;

	REQUIRE(t, alloc_pages_bulk(GFP_KERNEL, 6, pages) == 6);
	middle = pages[2];
	bad = mm_event_sum(&kernel_memory, EV_BAD_FREE);
	pages[2] = NULL;
	panics = set_badpage_panic(false);
	refused = free_pages_bulk(6, pages);
	set_badpage_panic(panics);
	EXPECT_EQ(t, refused, 1);
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_BAD_FREE), bad + 1);
	EXPECT_EQ(t, page_word(middle), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, free_pages(middle, 0), 0);
}

/* ---- recorded ---- */

/* While the hot paths are recorded each request succeeds, and the records show it. */
KTEST(recorded_allocations_behave_as_others, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, CACHED_BLOCKS, CACHED_BLOCKS));
	static const uintptr_t wild[] = {1UL << 46, ~(1UL << 46), 8};
	struct trace_hit hit[8];
	struct page *page;
	unsigned order, nr, i;

	trace_switch(mem, true);
	for (order = 0; order <= 3; order++) {
		page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, order));
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, page))->kind, ZONE_MOVABLE);
		nr = trace_find(mem, page_to_pfn_in(mem, page), hit, ARRAY_SIZE(hit));
		EXPECT(t,
		    nr > 0 && hit[nr - 1].rec.kind == TR_alloc && hit[nr - 1].rec.order == order);
		EXPECT_EQ(t, mem_free_pages(mem, page, order), 0);
	}
	/*
	 * A refused call is not recorded as a request, nor is anything of what it points to read.
	 */
	EXPECT_EQ(t, mem_free_pages(mem, NULL, 0), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		page = (struct page *)((uintptr_t)mem->memmap + wild[i]);
		EXPECT_EQ(t, mem_free_pages(mem, page, 0), -EINVAL);
		EXPECT_EQ(t, mem_free_pages(mem, page, 3), -EINVAL);
		EXPECT_EQ(t, mem_free_pages_bulk(mem, 1, &page), 1);
	}
	trace_switch(mem, false);
	page = NEED(t, mem_alloc_pages(mem, GFP_RECLAIMABLE | GFP_NOWAIT, 2));
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, 2));
	EXPECT_EQ(t, zone_of(mem, page_to_pfn_in(mem, page))->kind, ZONE_NORMAL);
	EXPECT_EQ(t, mem_free_pages(mem, page, 2), 0);
}
