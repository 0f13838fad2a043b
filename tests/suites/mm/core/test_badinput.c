/* SPDX-License-Identifier: MIT */
/*
 * test_badinput.c: frees of memory that cannot be freed.  Each is refused with -EINVAL, counted
 * once, and leaves every page, list, count and cache as it was.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/said_help.h"
#include <quarry/console.h>
#include <quarry/memory_hotplug.h>

static struct memory *any_memory(struct ktest *t)
{
	return ktest_memory(t, 0, CACHED_BLOCKS, MIN(CACHED_BLOCKS, 8u));
}

/* Expect the log to report a refused free: from @pos on, it names the page and its state. */
static void expect_report(
    struct ktest *t, struct memory *mem, const struct page *page, u64 pos, int line)
{
	static char text[2048];
	char want[80];
	size_t len = log_read(&pos, text, sizeof(text) - 1);
	uintptr_t first = (uintptr_t)pfn_to_page_in(mem, mem->start_pfn);
	bool ours = (uintptr_t)page - first < (mem->end_pfn - mem->start_pfn) * sizeof(*page);
	pfn_t pfn = page_to_pfn_in(mem, page);

	text[len] = '\0';
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
}

static void expect_refused_at(
    struct ktest *t, struct memory *mem, struct page *page, unsigned order, int line)
{
	struct fingerprint before = take_fingerprint(mem), after;
	u64 bad = mm_event_sum(mem, EV_BAD_FREE);
	u64 pos = log_position();
	int err = mem_free_pages(mem, page, order);

	bad = mm_event_sum(mem, EV_BAD_FREE) - bad;
	after = take_fingerprint(mem);
	if (err != -EINVAL || bad != 1)
		ktest_fail(t, __FILE__, line, "expected -EINVAL and one bad free, got %d and %llu",
		    err, (unsigned long long)bad);
	if (!fingerprint_same(&before, &after))
		ktest_fail(t, __FILE__, line, "the refused free left something changed");
	expect_report(t, mem, page, pos, line);
}
#define expect_refused(t, mem, page, order) expect_refused_at((t), (mem), (page), (order), __LINE__)

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
	expect_refused(job->t, job->mem, page, job->order);
}

KTEST_SUITE(badinput, 0);

KTEST(double_free_of_a_cached_page, KTEST_REPORTS)
{
	struct on_cpu job = {.t = t, .mem = any_memory(t)};

	REQUIRE(t, job.mem);
	ktest_on_cpu(0, free_twice, &job);
}

KTEST(double_free_after_a_drain, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page *page, *buddy;

	/* Free one of two buddies: it cannot merge, and stays a free block of order 0. */
	page = take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE);
	buddy = take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE);
	REQUIRE(t, page && buddy);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT(t, drain_all_pages(mem, NULL) >= 0);
	EXPECT_EQ(t, free_order_at(mem, page_to_pfn_in(mem, page)), 0);
	expect_refused(t, mem, page, 0);
	EXPECT_EQ(t, mem_free_pages(mem, buddy, 0), 0);
}

KTEST(double_free_after_merging, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page *lower, *upper;

	lower = take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE);
	upper = take_block(&mem->zones[ZONE_NORMAL], 0, MT_MOVABLE);
	REQUIRE(t, lower && upper == lower + 1);
	EXPECT_EQ(t, mem_free_pages(mem, upper, 0), 0);
	EXPECT_EQ(t, mem_free_pages(mem, lower, 0), 0);
	EXPECT(t, drain_all_pages(mem, NULL) >= 0);
	EXPECT_EQ(t, free_order_at(mem, page_to_pfn_in(mem, lower)), MAX_ORDER);
	/* The buddies have merged: the upper buddy is inside a block that begins at the lower. */
	expect_refused(t, mem, upper, 0);
	expect_refused(t, mem, lower, 0);
	expect_refused(t, mem, lower, MAX_ORDER);
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
				expect_refused(t, mem, page, wrong);
		}
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT_EQ(t, mem_free_pages(mem, page, order), 0);
	}
}

KTEST(free_of_a_tail, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page *page;
	unsigned i;

	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 2));
	for (i = 1; i < 4; i++) {
		expect_refused(t, mem, page + i, 0);
		expect_refused(t, mem, page + i, 2);
	}
	expect_refused(t, mem, page + 2, 1);
	EXPECT_EQ(t, mem_free_pages(mem, page, 2), 0);
}

KTEST(free_of_a_page_that_was_never_allocated, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));

	expect_refused(t, mem, pfn_to_page_in(mem, 0), 0);
	expect_refused(t, mem, pfn_to_page_in(mem, 0), MAX_ORDER);
	expect_refused(t, mem, pfn_to_page_in(mem, 1), 0);
	expect_refused(t, mem, pfn_to_page_in(mem, mem->end_pfn - 1), 0);
}

KTEST(free_of_a_reserved_page, KTEST_REPORTS)
{
	struct memory_config cfg;
	struct memory *mem;

	REQUIRE(t, bare_config(t, &cfg, 0, 3));
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	REQUIRE(t, mem && !memory_init(mem, &cfg));
	REQUIRE(t, !memory_add_zone(mem, 0, ZONE_NORMAL, 0, 3 * PAGEBLOCK_PAGES));
	memory_add_ram(mem, 0, 2 * PAGEBLOCK_PAGES);
	memory_free_range(mem, 4, PAGEBLOCK_PAGES);
	REQUIRE(t, !memory_ready(mem) && !memory_start(mem));
	expect_refused(t, mem, pfn_to_page_in(mem, 0), 0);
	expect_refused(t, mem, pfn_to_page_in(mem, 0), 2);
	expect_refused(t, mem, pfn_to_page_in(mem, 2), 1);
	expect_refused(t, mem, pfn_to_page_in(mem, PAGEBLOCK_PAGES), MAX_ORDER);
	/* Free a page of a hole. */
	expect_refused(t, mem, pfn_to_page_in(mem, 2 * PAGEBLOCK_PAGES), 0);
	EXPECT_EQ(t, mem_put_page(mem, pfn_to_page_in(mem, 0)), -EINVAL);
	drop_memory(t, mem);
}

KTEST(free_of_an_offline_page, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	pfn_t start = 2 * PAGEBLOCK_PAGES;

	REQUIRE(t, !offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, NULL));
	expect_refused(t, mem, pfn_to_page_in(mem, start), 0);
	expect_refused(t, mem, pfn_to_page_in(mem, start), MAX_ORDER);
	expect_refused(t, mem, pfn_to_page_in(mem, start + 1), 0);
}

KTEST(free_of_a_foreign_pointer, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page foreign = {.word = 0};
	struct page *page;

	expect_refused(t, mem, NULL, 0);
	expect_refused(t, mem, NULL, MAX_ORDER);
	expect_refused(t, mem, &foreign, 0);
	expect_refused(t, mem, &foreign, 1);
	EXPECT_EQ(t, foreign.word, 0);
	expect_refused(t, mem, pfn_to_page_in(mem, mem->end_pfn), 0);
	expect_refused(t, mem, pfn_to_page_in(mem, mem->start_pfn) - 1, 0);
	/* Free with a pointer into the middle of a descriptor. */
	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	expect_refused(t, mem, (struct page *)(void *)((char *)page + 16), 0);
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
	expect_refused(
	    t, mem, (struct page *)(void *)((char *)page + offsetof(struct page, owner)), 0);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	EXPECT_EQ(t, zone_pcp_enable(&mem->zones[ZONE_NORMAL]), 0);
}

/* An allocated page of t->mem; NULL: there is no memory. */
static struct page *any_page(struct ktest *t)
{
	struct memory *mem = any_memory(t);

	return mem ? mem_alloc_pages(mem, GFP_KERNEL, 0) : NULL;
}

KTEST(free_with_an_order_too_large, KTEST_REPORTS)
{
	static const unsigned orders[] = {MAX_ORDER + 1, 15, 16, 31, 32, 64, ~0u};
	struct page *page = NEED(t, any_page(t));
	struct memory *mem = t->mem;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		if (orders[i] > MAX_ORDER)
			expect_refused(t, mem, page, orders[i]);
	}
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

KTEST(free_of_a_page_in_use, KTEST_REPORTS)
{
	static const enum page_state states[] = {PG_FREEING, PG_SLAB, PG_PGTABLE, PG_OBJECT,
	    PG_MOVABLE_OPS, PG_LRU, PG_ISO_MIG, PG_BALLOON, PG_HWPOISON};
	struct page *page = NEED(t, any_page(t));
	struct memory *mem = t->mem;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		WRITE_ONCE(page->word, PAGE_WORD(1, states[i], 0));
		expect_refused(t, mem, page, 0);
	}
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
}

KTEST(free_of_a_page_with_references_or_flags, KTEST_REPORTS)
{
	struct memory *mem = NEED(t, any_memory(t));
	struct page *page;
	unsigned bit;

	page = NEED(t, mem_alloc_pages(mem, GFP_KERNEL, 0));
	EXPECT_EQ(t, get_page(page), 0);
	expect_refused(t, mem, page, 0);
	EXPECT_EQ(t, mem_put_page(mem, page), 0);
	/* Try all flags except the two of broken pages, because a free retires a broken page. */
	for (bit = 24; bit < 30; bit++) {
		atomic_or(&page->word, 1u << bit);
		expect_refused(t, mem, page, 0);
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
		expect_refused(t, mem, page, order);
		EXPECT_EQ(t, mem_put_page(mem, page), 0);
		expect_refused(t, mem, page, order);
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

KTEST(kernel_memory_refuses_bad_frees_too, KTEST_REPORTS)
{
	struct page *page = alloc_pages(GFP_KERNEL, 1);
	u64 bad = mm_event_sum(&kernel_memory, EV_BAD_FREE);
	struct page foreign = {.word = 0};
	bool panics = set_badpage_panic(false);

	KASSERT(page);
	EXPECT_EQ(t, free_pages(NULL, 0), -EINVAL);
	EXPECT_EQ(t, free_pages(page, 0), -EINVAL);
	EXPECT_EQ(t, free_pages(page, 2), -EINVAL);
	EXPECT_EQ(t, free_pages(page, MAX_ORDER + 1), -EINVAL);
	EXPECT_EQ(t, free_pages(page + 1, 0), -EINVAL);
	EXPECT_EQ(t, free_pages(&foreign, 0), -EINVAL);
	set_badpage_panic(panics);
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_BAD_FREE), bad + 6);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, 1));
	EXPECT_EQ(t, free_pages(page, 1), 0);
}
