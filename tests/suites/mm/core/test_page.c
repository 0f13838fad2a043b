/* SPDX-License-Identifier: MIT */
/*
 * test_page.c: finding the head of any page, references and their limit, last puts, pins, names.
 */
#include "mm/core/page.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/wait_help.h"
#include <quarry/memory_hotplug.h>
#include <quarry/poison.h>
#include <quarry/trace_ring.h>

/* Compare page_head of each page with the heads that a walk of the pageblock finds. */
static void expect_heads(struct ktest *t, struct memory *mem, pfn_t block)
{
	pfn_t head, pfn;

	for_each_head(mem, head, block) {
		unsigned long nr = 1UL << word_order(block_word(mem, head));

		for (pfn = head; pfn < head + nr; pfn++) {
			if (page_head(mem, pfn) != head)
				ktest_fail(t, __FILE__, __LINE__,
				    "page_head(%#lx) == %#lx, want %#lx", pfn, page_head(mem, pfn),
				    head);
		}
	}
}

KTEST_SUITE(page, KTEST_QUICK);

/* A block of each order alone, and then many at random. */
KTEST_INSIDE(page_head_is_found_in_every_split)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct pile pile = {NULL, 0};
	u64 rand = t->seed;
	struct page *page;
	unsigned i;

	expect_heads(t, zone->mem, 0);
	for (i = 0; i <= MAX_ORDER; i++) {
		page = NEED(t, take_block(zone, i, MT_MOVABLE));
		expect_heads(t, zone->mem, 0);
		EXPECT_EQ(t, page_head(zone->mem, (1UL << i) - 1), 0);
		give_block(zone, page);
	}
	for (i = 0; i < 24; i++) {
		page = take_block(zone, ktest_rand(&rand) % (MAX_ORDER > 4 ? 5 : 2), MT_MOVABLE);
		if (page)
			pile_push(&pile, page);
		if (ktest_rand(&rand) % 3 == 0 && (page = pile_pop(&pile)))
			give_block(zone, page);
	}
	expect_heads(t, zone->mem, 0);
	while (pile.top)
		give_block(zone, pile_pop(&pile));
	expect_heads(t, zone->mem, 0);
}

/* A split is in progress: the block of the last head before a page ends before that page. */
KTEST_INSIDE(page_head_of_a_page_in_between_is_unknown)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *head = NEED(t, take_block(zone, MAX_ORDER, MT_MOVABLE));

	WRITE_ONCE(head->word, PAGE_WORD(1, PG_ALLOC, MAX_ORDER - 1));
	EXPECT_EQ(t, page_head(zone->mem, PAGEBLOCK_PAGES / 2), PFN_NONE);
	EXPECT_EQ(t, page_head(zone->mem, PAGEBLOCK_PAGES / 2 - 1), 0);
	WRITE_ONCE(head->word, 0);
	EXPECT_EQ(t, page_head(zone->mem, 1), PFN_NONE);
	WRITE_ONCE(head->word, PAGE_WORD(1, PG_ALLOC, MAX_ORDER));
	give_block(zone, head);
}

KTEST(get_page_stops_at_the_limit)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *page = NEED(t, mem_alloc_pages(zone->mem, GFP_KERNEL, 0));

	WRITE_ONCE(page->word, PAGE_WORD(PAGE_REF_MAX - 2, PG_ALLOC, 0));
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, get_page(page), -EAGAIN);
	EXPECT_EQ(t, pin_page(page), -EAGAIN);
	EXPECT_EQ(t, page->pincount, 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(PAGE_REF_MAX, PG_ALLOC, 0));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_free_pages(zone->mem, page, 0), 0);
}

KTEST(last_put_frees_the_block)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *page;
	unsigned order;

	for (order = 0; order < MAX_ORDER; order++) {
		page = NEED(t, mem_alloc_pages(zone->mem, GFP_KERNEL, order));
		EXPECT_EQ(t, get_page(page), 0);
		EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_ALLOC, order));
		EXPECT_EQ(t, mem_put_page(zone->mem, page), 0);
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES - (1UL << order));
		EXPECT_EQ(t, mem_put_page(zone->mem, page), 0);
		EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES);
	}
	/* The flags go with the last reference. */
	page = NEED(t, mem_alloc_pages(zone->mem, GFP_KERNEL, 0));
	page_cas_state(page, PG_ALLOC, PG_LRU);
	atomic_or(&page->word, PAGE_DIRTY | PAGE_REFERENCED | PAGE_UPTODATE);
	EXPECT_EQ(t, mem_put_page(zone->mem, page), 0);
	EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES);
}

#define REPORT "bad free: pfn|bad free: block|?history of pfn|? us  cpu |bad free: "

KTEST(
    put_without_references_is_refused, .reports = REPORT "put of a page without references, order")
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct fingerprint before, after;
	struct page *page;
	pfn_t pfn;

	before = take_fingerprint(zone->mem);
	/* Put the head of the free block, and then a tail of this block. */
	for (pfn = 0; pfn < 2; pfn++) {
		EXPECT_EQ(t, mem_put_page(zone->mem, pfn_to_page_in(zone->mem, pfn)), -EINVAL);
		EXPECT_EQ(t, mm_event_sum(zone->mem, EV_BAD_FREE), pfn + 1);
	}
	after = take_fingerprint(zone->mem);
	EXPECT(t, fingerprint_same(&before, &after));
	/* A page in state ALLOC without references is refused too. */
	page = NEED(t, mem_alloc_pages(zone->mem, GFP_KERNEL, 0));
	WRITE_ONCE(page->word, PAGE_WORD(0, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_put_page(zone->mem, page), -EINVAL);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(0, PG_ALLOC, 0));
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_put_page(zone->mem, page), 0);
}

KTEST(put_of_a_page_in_a_wrong_state_is_refused,
    .reports = REPORT "last put of what a put does not free, order")
{
	static const enum page_state states[] = {PG_RESERVED, PG_SLAB, PG_PGTABLE, PG_HWPOISON};
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *page = NEED(t, mem_alloc_pages(zone->mem, GFP_KERNEL, 0));
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		WRITE_ONCE(page->word, PAGE_WORD(1, states[i], 0));
		EXPECT_EQ(t, mem_put_page(zone->mem, page), -EINVAL);
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, states[i], 0));
		EXPECT_EQ(t, mm_event_sum(zone->mem, EV_BAD_FREE), i + 1);
	}
	WRITE_ONCE(page->word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_put_page(zone->mem, page), 0);
}

/* Mapped, locked, or pinned: then only the pin's own reference is left, which only unpin drops. */
KTEST(
    last_put_of_a_page_in_use_is_quarantined, .reports = REPORT "last put of a page in use, order")
{
	static const u32 flags[] = {0, PAGE_LOCKED, PAGE_PINNED};
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *page = NEED(t, mem_alloc_pages(zone->mem, GFP_KERNEL, 0));
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		page->mapcount = i == 0;
		if (flags[i] == PAGE_PINNED) {
			EXPECT_EQ(t, pin_page(page), 0);
			EXPECT_EQ(t, mem_put_page(zone->mem, page), 0);
		} else {
			atomic_or(&page->word, flags[i]);
		}
		EXPECT_EQ(t, mem_put_page(zone->mem, page), -EINVAL);
		EXPECT_EQ(t, mm_event_sum(zone->mem, EV_QUARANTINED), i + 1);
		EXPECT_EQ(t, mm_event_sum(zone->mem, EV_BAD_FREE), i + 1);
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, 0) | flags[i]);
		EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES - 1);
		if (flags[i] == PAGE_LOCKED)
			atomic_and(&page->word, ~PAGE_LOCKED);
	}
	mem_unpin_page(zone->mem, page);
	EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES);
}

KTEST(a_pin_holds_a_reference)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *page = NEED(t, mem_alloc_pages(zone->mem, GFP_KERNEL, 1));

	EXPECT_EQ(t, pin_page(page), 0);
	EXPECT_EQ(t, pin_page(page), 0);
	EXPECT_EQ(t, page->pincount, 2);
	EXPECT_EQ(t, word_ref(page_word(page)), 3);
	mem_unpin_page(zone->mem, page);
	EXPECT_EQ(t, page->pincount, 1);
	EXPECT_EQ(t, word_ref(page_word(page)), 2);
	/* The owner puts the page first, so the last unpin frees the page. */
	EXPECT_EQ(t, mem_put_page(zone->mem, page), 0);
	EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES - 2);
	mem_unpin_page(zone->mem, page);
	EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES);
}

#define PUTS 400

struct putters {
	struct memory *mem;
	struct page *page;
	u32 ready; /* atomic */
	unsigned cpus;
	u32 errors; /* atomic */
};

/* Take and drop references; at the end drop the reference that the test took for this thread. */
static void get_and_put(void *arg)
{
	struct putters *p = arg;
	unsigned i;

	atomic_add(&p->ready, 1);
	SPIN_UNTIL(READ_ONCE(p->ready) >= p->cpus);
	for (i = 0; i < PUTS; i++) {
		if (i % 2 ? pin_page(p->page) : get_page(p->page))
			counter_add(&p->errors, 1);
		if (i % 2)
			mem_unpin_page(p->mem, p->page);
		else if (mem_put_page(p->mem, p->page))
			counter_add(&p->errors, 1);
	}
	if (mem_put_page(p->mem, p->page))
		counter_add(&p->errors, 1);
}

KTEST(one_of_many_puts_is_the_last)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct putters p = {.cpus = ktest_cpus()};
	unsigned cpu;

	p.mem = zone->mem;
	p.page = mem_alloc_pages(zone->mem, GFP_KERNEL, 0);
	REQUIRE(t, p.page);
	for (cpu = 1; cpu < p.cpus; cpu++)
		EXPECT_EQ(t, get_page(p.page), 0);
	run_from(0, get_and_put, &p);
	EXPECT_EQ(t, p.errors, 0);
	EXPECT_EQ(t, p.page->pincount, 0);
	EXPECT_EQ(t, memory_free_pages(zone->mem), PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_BAD_FREE), 0);
}

static const char *state_text(unsigned i)
{
	return page_state_name((enum page_state)i);
}

static const char *why_text(unsigned i)
{
	return mm_why_text((enum mm_why)i);
}

static void expect_names(struct ktest *t, const char *(*text)(unsigned i), unsigned nr)
{
	unsigned i, j;

	for (i = 0; i < nr; i++) {
		REQUIRE(t, text(i));
		for (j = 0; j < i; j++)
			EXPECT(t, strcmp(text(i), text(j)) != 0);
	}
	EXPECT(t, !strcmp(text(nr), "?"));
}

KTEST(states_and_reasons_have_names)
{
	expect_names(t, state_text, NR_PAGE_STATES);
	expect_names(t, why_text, NR_MM_WHY);
	EXPECT(t, !strcmp(page_state_name(PG_TAIL), "TAIL"));
	EXPECT(t, !strcmp(page_state_name(PG_ISO_MIG), "ISO_MIG"));
}

KTEST(a_pfn_is_valid_where_ram_is_or_was)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	pfn_t start = 2 * PAGEBLOCK_PAGES;

	EXPECT(t, pfn_valid_in(mem, 0) && pfn_valid_in(mem, 4 * PAGEBLOCK_PAGES - 1));
	EXPECT(t, !pfn_valid_in(mem, 4 * PAGEBLOCK_PAGES));
	EXPECT(t, !pfn_valid_in(mem, PFN_NONE) && !pfn_valid_in(mem, ~0UL));
	EXPECT_EQ(t, offline_pages(mem, start, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT(t, pfn_valid_in(mem, start));
}

/* The order in the newest record of a put of the page; -1 without one. */
static int put_order(const struct memory *mem, const struct page *page)
{
	struct trace_hit hit[8];
	unsigned i = trace_find(mem, page_to_pfn_in(mem, page), hit, ARRAY_SIZE(hit));

	while (i > 0 && hit[i - 1].rec.kind != TR_put)
		i--;
	return i > 0 ? hit[i - 1].rec.order : -1;
}

/* Each page ends in the same state as after a put of that page alone. */
KTEST(references_of_several_pages_are_dropped_together)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct page *pages[4], *put[4];
	unsigned i;

	for (i = 0; i < 4; i++) {
		put[i] = pages[i] = mem_alloc_pages(mem, i == 3 ? GFP_MOVABLE : GFP_KERNEL, i == 2);
		REQUIRE(t, pages[i]);
	}
	EXPECT_EQ(t, get_page(pages[0]), 0);
	EXPECT_EQ(t, mem_memory_failure(mem, page_to_pfn_in(mem, pages[1]), 0, NULL), -EBUSY);
	put_many(mem, put, 4);
	EXPECT_EQ(t, page_word(pages[0]), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, mem_poisoned(mem).retired, 1);
	EXPECT_EQ(t, word_state(page_word(pages[1])), PG_HWPOISON);
	for (i = 2; i < 4; i++) {
		pfn_t head = page_head(mem, page_to_pfn_in(mem, pages[i]));

		EXPECT_EQ(t, word_state(block_word(mem, head)), PG_FREE);
		EXPECT_EQ(t, put_order(mem, pages[i]), i == 2);
	}
	put_many(mem, pages, 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, page_to_pfn_in(mem, pages[1])), 0);
}

/* Pages side by side are freed as larger blocks, except for broken ones. */
KTEST(broken_page_among_pages_side_by_side_is_retired)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	pfn_t start = 2 * PAGEBLOCK_PAGES, pfn;
	struct page *pages[PUT_MANY];
	unsigned nr = MIN(PUT_MANY, (unsigned)PAGEBLOCK_PAGES), i;

	REQUIRE(t, !alloc_contig_range(mem, start, start + nr, MT_MOVABLE, NULL));
	for (i = 0; i < nr; i++)
		pages[i] = pfn_to_page_in(mem, start + i);
	EXPECT_EQ(t, mem_memory_failure(mem, start + 3, 0, NULL), -EBUSY);
	put_many(mem, pages, nr);
	EXPECT_EQ(t, mem_poisoned(mem).retired, 1);
	for (i = 0; i < nr; i++) {
		pfn = page_head(mem, start + i);
		EXPECT_EQ(t, word_state(block_word(mem, pfn)), i == 3 ? PG_HWPOISON : PG_FREE);
	}
	EXPECT_EQ(t, free_order_at(mem, start), 1);
	EXPECT_EQ(t, mem_unpoison_page(mem, start + 3), 0);
	EXPECT(t, pageblock_all_free(pageblock_of(mem, start)));
}

/* Interrupts are off, so that the thread and its cache stay on one CPU. */
KTEST(last_put_of_a_kernel_page_goes_to_the_cache)
{
	irqflags_t flags = arch_irq_save();
	struct page *page = alloc_pages(GFP_KERNEL | GFP_NOWAIT, 0), *again = NULL;
	u32 word = 0;

	if (page && !get_page(page)) {
		(void)put_page(page);
		word = page_word(page);
		(void)put_page(page);
		again = alloc_pages(GFP_KERNEL | GFP_NOWAIT, 0);
	}
	arch_irq_restore(flags);
	REQUIRE(t, again);
	EXPECT_EQ(t, word, PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT(t, again == page);
	EXPECT_EQ(t, put_page(again), 0);
}
