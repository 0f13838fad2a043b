/* SPDX-License-Identifier: MIT */
/*
 * test_badinput.c: frees of memory that cannot be freed.  Each is refused with -EINVAL, counted
 * once, reported with its reason, and leaves every page, list, count and cache as it was.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/said_help.h"
#include <quarry/console.h>
#include <quarry/memory_hotplug.h>

static struct memory *any_memory(struct ktest *t)
{
	return ktest_memory(t, 0, CACHED_BLOCKS, MIN(CACHED_BLOCKS, 8u));
}

static const char *const reasons[] = {"no such page", "no such order", "page is offline",
    "double free", "not the head of an allocated block", "not allocated by alloc_pages",
    "wrong order", "still referenced or flagged", "still pinned", "two CPUs"};
enum { NO_PAGE, NO_ORDER, OFFLINE, DOUBLE, TAIL, IN_USE, WRONG_ORDER, REFERENCED, PINNED };

static char text[4096]; /* of the last report */

static void read_report(u64 pos)
{
	text[log_read(&pos, text, sizeof(text) - 1)] = '\0';
}

/* The report names the page, its state, and this reason. */
static void expect_report(
    struct ktest *t, struct memory *mem, const struct page *page, unsigned reason, int line)
{
	uintptr_t first = (uintptr_t)pfn_to_page_in(mem, mem->start_pfn);
	bool ours = (uintptr_t)page - first < (mem->end_pfn - mem->start_pfn) * sizeof(*page);
	pfn_t pfn = page_to_pfn_in(mem, page);
	char want[80];
	unsigned i;

	if (!ours)
		ksnprintf(want, sizeof(want), "page %p is not of this memory", (const void *)page);
	else if (pfn_valid_in(mem, pfn))
		ksnprintf(want, sizeof(want), "bad free: pfn %#lx %s order %u", pfn,
		    page_state_name(word_state(block_word(mem, pfn))),
		    word_order(block_word(mem, pfn)));
	else
		ksnprintf(want, sizeof(want), "bad free: pfn %#lx: no such page", pfn);
	if (!says(text, want))
		ktest_fail(t, __FILE__, line, "no report says \"%s\"", want);
	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (says(text, reasons[i]) != (i == reason))
			ktest_fail(t, __FILE__, line, "\"%s\" is %ssaid", reasons[i],
			    i == reason ? "not " : "");
	}
}

static void expect_refused_at(struct ktest *t, struct memory *mem, struct page *page,
    unsigned order, unsigned reason, int line)
{
	struct fingerprint before = take_fingerprint(mem), after;
	u64 bad = mm_event_sum(mem, EV_BAD_FREE);
	u64 pos = log_position();
	int err = mem_free_pages(mem, page, order);

	read_report(pos);
	bad = mm_event_sum(mem, EV_BAD_FREE) - bad;
	after = take_fingerprint(mem);
	if (err != -EINVAL || bad != 1)
		ktest_fail(t, __FILE__, line, "expected -EINVAL and one bad free, got %d and %llu",
		    err, (unsigned long long)bad);
	if (!fingerprint_same(&before, &after))
		ktest_fail(t, __FILE__, line, "the refused free left something changed");
	expect_report(t, mem, page, reason, line);
}
#define expect_refused(t, mem, page, order, reason)                                                \
	expect_refused_at((t), (mem), (page), (order), (reason), __LINE__)

/* Arguments of free_twice: it runs on one CPU, whose cache gets the freed page. */
struct on_cpu {
	struct ktest *t;
	struct memory *mem;
	unsigned order;
};

static void free_twice(void *arg)
{
	struct on_cpu *job = arg;
	struct page *page = mem_alloc_pages(job->mem, GFP_NOWAIT, job->order);

	REQUIRE(job->t, page);
	EXPECT_EQ(job->t, mem_free_pages(job->mem, page, job->order), 0);
	EXPECT_EQ(job->t, page_word(page), PAGE_WORD(0, PG_PCP, job->order));
	expect_refused(job->t, job->mem, page, job->order, DOUBLE);
}

KTEST_SUITE(badinput, 0);

KTEST(double_free_of_a_cached_page, KTEST_REPORTS)
{
	struct on_cpu job = {.t = t, .mem = any_memory(t)};

	REQUIRE(t, job.mem);
	ktest_on_cpu(0, free_twice, &job);
}

/* One of two buddies is freed and cannot merge; then they merge. */
KTEST(double_free_after_a_drain, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page *lower, *upper;

	lower = take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE);
	upper = take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE);
	REQUIRE(t, lower && upper == lower + 1);
	EXPECT_EQ(t, mem_free_pages(mem, upper, 0), 0);
	EXPECT(t, drain_all_pages(mem, NULL) >= 0);
	EXPECT_EQ(t, free_order_at(mem, page_to_pfn_in(mem, upper)), 0);
	expect_refused(t, mem, upper, 0, DOUBLE);
	EXPECT_EQ(t, mem_free_pages(mem, lower, 0), 0);
	EXPECT(t, drain_all_pages(mem, NULL) >= 0);
	EXPECT_EQ(t, free_order_at(mem, page_to_pfn_in(mem, lower)), MAX_ORDER);
	expect_refused(t, mem, upper, 0, TAIL);
	expect_refused(t, mem, lower, 0, DOUBLE);
	expect_refused(t, mem, lower, MAX_ORDER, DOUBLE);
}

KTEST(free_with_a_wrong_order, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	unsigned order, wrong;

	for (order = 0; order <= MIN((unsigned)MAX_ORDER, 4u); order++) {
		struct page *page = mem_alloc_pages(mem, GFP_KERNEL, order);

		REQUIRE(t, page);
		for (wrong = 0; wrong <= MAX_ORDER; wrong++) {
			if (wrong != order)
				expect_refused(t, mem, page, wrong, WRONG_ORDER);
		}
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT_EQ(t, mem_free_pages(mem, page, order), 0);
	}
}

KTEST(free_of_a_tail, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	unsigned i;
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 2));

	for (i = 1; i < 4; i++) {
		expect_refused(t, mem, page + i, 0, TAIL);
		expect_refused(t, mem, page + i, 2, TAIL);
	}
	expect_refused(t, mem, page + 2, 1, TAIL);
	EXPECT_EQ(t, mem_free_pages(mem, page, 2), 0);
}

KTEST(free_of_a_free_or_offline_page, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	const pfn_t start = 2 * PAGEBLOCK_PAGES;
	struct page *page = pfn_to_page_in(mem, start);

	expect_refused(t, mem, page, 0, DOUBLE);
	expect_refused(t, mem, page, MAX_ORDER, DOUBLE);
	expect_refused(t, mem, page + 1, 0, TAIL);
	expect_refused(t, mem, pfn_to_page_in(mem, mem->end_pfn - 1), 0, TAIL);
	REQUIRE(t, !offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, NULL));
	expect_refused(t, mem, page, 0, OFFLINE);
	expect_refused(t, mem, page, MAX_ORDER, OFFLINE);
	expect_refused(t, mem, page + 1, 0, OFFLINE);
}

KTEST(free_of_a_reserved_page, KTEST_REPORTS)
{
	struct zone *zone = NEED(t, bare_zone(t, 3));
	struct memory *mem = zone->mem;

	memory_add_ram(mem, 0, 2 * PAGEBLOCK_PAGES);
	memory_free_range(mem, 4, PAGEBLOCK_PAGES);
	REQUIRE(t, begin_memory(t, mem, 0));
	expect_refused(t, mem, pfn_to_page_in(mem, 0), 0, IN_USE);
	expect_refused(t, mem, pfn_to_page_in(mem, 0), 2, IN_USE);
	expect_refused(t, mem, pfn_to_page_in(mem, 2), 1, TAIL);
	expect_refused(t, mem, pfn_to_page_in(mem, PAGEBLOCK_PAGES), MAX_ORDER, IN_USE);
	/* Free a page of a hole. */
	expect_refused(t, mem, pfn_to_page_in(mem, 2 * PAGEBLOCK_PAGES), 0, NO_PAGE);
	EXPECT_EQ(t, mem_put_page(mem, pfn_to_page_in(mem, 0)), -EINVAL);
	drop_memory(t, mem);
}

KTEST(free_of_a_foreign_pointer, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page foreign = {.word = 0};
	struct page *page;

	expect_refused(t, mem, NULL, 0, NO_PAGE);
	expect_refused(t, mem, NULL, MAX_ORDER, NO_PAGE);
	expect_refused(t, mem, &foreign, 0, NO_PAGE);
	expect_refused(t, mem, &foreign, 1, NO_PAGE);
	EXPECT_EQ(t, foreign.word, 0);
	expect_refused(t, mem, pfn_to_page_in(mem, mem->end_pfn), 0, NO_PAGE);
	expect_refused(t, mem, pfn_to_page_in(mem, mem->start_pfn) - 1, 0, NO_PAGE);
	/* Free with a pointer into the middle of a descriptor. */
	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	expect_refused(t, mem, (struct page *)(void *)((char *)page + 16), 0, NO_PAGE);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

KTEST(free_of_a_forged_descriptor, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page *page;

	EXPECT_EQ(t, zone_pcp_disable(&mem->zones[ZONE_NORMAL]), 0);
	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	/* If a descriptor began at the field owner, its word would be that of an allocated page. */
	page->owner = (void *)(uintptr_t)PAGE_WORD(1, PG_ALLOC, 0);
	expect_refused(t, mem, (struct page *)(void *)((char *)page + offsetof(struct page, owner)),
	    0, NO_PAGE);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT_EQ(t, zone_pcp_enable(&mem->zones[ZONE_NORMAL]), 0);
}

KTEST(free_with_an_order_too_large, KTEST_REPORTS)
{
	static const unsigned orders[] = {MAX_ORDER + 1, 15, 16, 31, 32, 64, ~0u};
	struct memory *mem = NEED(t, any_memory(t));
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		if (orders[i] > MAX_ORDER)
			expect_refused(t, mem, page, orders[i], NO_ORDER);
	}
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

KTEST(free_of_a_page_in_use, KTEST_REPORTS)
{
	static const struct {
		enum page_state state;
		unsigned reason;
	} rows[] = {{PG_PCP, DOUBLE}, {PG_FREEING, DOUBLE}, {PG_TAIL, TAIL}, {PG_RESERVED, IN_USE},
	    {PG_SLAB, IN_USE}, {PG_PGTABLE, IN_USE}, {PG_OBJECT, IN_USE}, {PG_MOVABLE_OPS, IN_USE},
	    {PG_LRU, IN_USE}, {PG_ISO_MIG, IN_USE}, {PG_BALLOON, IN_USE}, {PG_HWPOISON, IN_USE}};
	struct memory *mem = NEED(t, any_memory(t));
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 2));
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows) * 2; i++) {
		WRITE_ONCE(page->word, PAGE_WORD(i % 2, rows[i / 2].state, 2));
		expect_refused(t, mem, page, 2, rows[i / 2].reason);
	}
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 2));
	EXPECT_EQ(t, mem_free_pages(mem, page, 2), 0);
}

KTEST(free_of_a_page_with_references_or_flags, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	unsigned bit;
	struct page *page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));

	EXPECT_EQ(t, get_page(page), 0);
	expect_refused(t, mem, page, 0, REFERENCED);
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	/* Try all flags except the two of broken pages, because a free retires a broken page. */
	for (bit = 24; bit < 30; bit++) {
		atomic_or(&page->word, 1u << bit);
		expect_refused(t, mem, page, 0, REFERENCED);
		atomic_and(&page->word, ~(1u << bit));
	}
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

/* A pinned page cannot be freed, even when only the reference of the pin is left. */
KTEST(free_of_a_page_held_by_a_pin_only, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	unsigned order;

	for (order = 0; order <= MIN((unsigned)MAX_ORDER, 4u); order++) {
		unsigned long free = memory_free_pages(mem);
		struct page *page = mem_alloc_pages(mem, GFP_KERNEL, order);

		REQUIRE(t, page);
		EXPECT_EQ(t, pin_page(page), 0);
		expect_refused(t, mem, page, order, REFERENCED);
		EXPECT_EQ(t, mem_put_page(mem, page), 0);
		expect_refused(t, mem, page, order, PINNED);
		mem_unpin_page(mem, page);
		EXPECT_EQ(t, memory_free_pages(mem), free);
		/* A page that is no longer pinned is freed like any other. */
		page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, order));
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT_EQ(t, pin_page(page), 0);
		mem_unpin_page(mem, page);
		EXPECT_EQ(t, mem_free_pages(mem, page, order), 0);
		EXPECT_EQ(t, memory_free_pages(mem), free);
	}
}

KTEST(bulk_free_of_nothing_but_bad_pages, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct fingerprint before, after;
	struct page *pages[3];

	pages[0] = NULL;
	pages[1] = pfn_to_page_in(mem, 0);
	pages[2] = pfn_to_page_in(mem, 1);
	before = take_fingerprint(mem);
	EXPECT_EQ(t, mem_free_pages_bulk(mem, 3, pages), 3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_BAD_FREE), 3);
	after = take_fingerprint(mem);
	EXPECT(t, fingerprint_same(&before, &after));
}

/* A report has the events before the refusal; the next report has the refusal too. */
KTEST(a_report_has_the_history_of_the_page, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct trace_hit hit[4];
	char want[60];
	struct page *page = NEED(t, take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE));

	ksnprintf(
	    want, sizeof(want), "history of pfn %#lx: nothing recorded", page_to_pfn_in(mem, page));
	expect_refused(t, mem, page, 1, WRONG_ORDER);
	EXPECT(t, says(text, want));
	EXPECT_EQ(t, trace_find(mem, page_to_pfn_in(mem, page), hit, ARRAY_SIZE(hit)), 1);
	EXPECT_EQ(t, hit[0].rec.kind, TR_bad_free);
	expect_refused(t, mem, page, 2, WRONG_ORDER);
	EXPECT(t, !says(text, want));
	EXPECT(t, says(text, "bad_free pfn"));
	EXPECT_EQ(t, trace_find(mem, page_to_pfn_in(mem, page), hit, ARRAY_SIZE(hit)), 2);
	/* A page of another memory has no history here. */
	expect_refused(t, mem, pfn_to_page_in(mem, mem->end_pfn), 0, NO_PAGE);
	EXPECT(t, !says(text, "history"));
	give_block(&mem->zones[ZONE_NORMAL], page);
}

KTEST(kernel_memory_refuses_bad_frees_too, KTEST_REPORTS)
{
	struct page *page = alloc_pages(GFP_KERNEL, 1), *pages[6], *middle;
	u64 bad = mm_event_sum(&kernel_memory, EV_BAD_FREE);
	struct page foreign = {.word = 0};
	bool panics;

	REQUIRE(t, page && alloc_pages_bulk(GFP_KERNEL, 6, pages) == 6);
	middle = pages[2];
	panics = set_badpage_panic(false);
	EXPECT_EQ(t, free_pages(NULL, 0), -EINVAL);
	EXPECT_EQ(t, free_pages(page, 0), -EINVAL);
	EXPECT_EQ(t, free_pages(page, 2), -EINVAL);
	EXPECT_EQ(t, free_pages(page, MAX_ORDER + 1), -EINVAL);
	EXPECT_EQ(t, free_pages(page + 1, 0), -EINVAL);
	EXPECT_EQ(t, free_pages(&foreign, 0), -EINVAL);
	/* The good pages of a bulk are freed. */
	pages[2] = NULL;
	EXPECT_EQ(t, free_pages_bulk(6, pages), 1);
	set_badpage_panic(panics);
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_BAD_FREE), bad + 7);
	EXPECT_EQ(t, page_word(middle), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, free_pages(middle, 0), 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, 1));
	EXPECT_EQ(t, free_pages(page, 1), 0);
}

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
