/* SPDX-License-Identifier: MIT */
/*
 * test_page_orders.c: alloc_pages and free_pages with a constant order, and with or without
 * GFP_ZERO as a constant. Order 0 without GFP_ZERO has functions of its own, whose results must be
 * those of the functions for any order. A compiler that does not optimise sees no constants there.
 */
#ifndef __clang__
#pragma GCC optimize("O2")
#endif
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include <quarry/string.h>

#define DIRT 0x5a
#define MIDDLE                                                                                     \
	MIN_CONST(NR_SMALL_CACHED, MAX_ORDER) /* an order that is not cached, if there is one */

/* The calls with a constant order. */
#define OF_ORDER(order)                                                                            \
	static struct page *plain_##order(void)                                                    \
	{                                                                                          \
		return alloc_pages(GFP_MOVABLE | GFP_NOWAIT, order);                               \
	}                                                                                          \
	static struct page *zeroed_##order(void)                                                   \
	{                                                                                          \
		return alloc_pages(GFP_KERNEL | GFP_NOWAIT | GFP_ZERO, order);                     \
	}                                                                                          \
	static int free_##order(struct page *page)                                                 \
	{                                                                                          \
		return free_pages(page, order);                                                    \
	}
OF_ORDER(0)
OF_ORDER(3)
OF_ORDER(MIDDLE)
OF_ORDER(MAX_ORDER)
OF_ORDER(70)

static const struct {
	unsigned order;
	struct page *(*plain)(void), *(*zeroed)(void);
	int (*free)(struct page *page);
} orders[] = {{0, plain_0, zeroed_0, free_0}, {3, plain_3, zeroed_3, free_3},
    {MIDDLE, plain_MIDDLE, zeroed_MIDDLE, free_MIDDLE},
    {MAX_ORDER, plain_MAX_ORDER, zeroed_MAX_ORDER, free_MAX_ORDER}};

static bool all_are(const struct page *page, unsigned order, unsigned char value)
{
	const unsigned char *byte = page_address(page);
	size_t i;

	for (i = 0; i < PAGE_SIZE << order; i++)
		if (byte[i] != value)
			return false;
	return true;
}

KTEST_SUITE(page_orders, KTEST_QUICK);

KTEST(each_order_has_blocks_of_its_size)
{
	struct page *page;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned order = orders[i].order;

		page = NEED(t, orders[i].plain());
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT_EQ(t, page_to_pfn_in(&kernel_memory, page) % (1UL << order), 0);
		EXPECT_EQ(t, free_pages(page, order), 0); /* the function for any order */
		page = NEED(t, alloc_pages(GFP_MOVABLE | GFP_NOWAIT, order));
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		EXPECT_EQ(t, orders[i].free(page), 0);
	}
}

KTEST(only_what_wants_zeros_gets_them)
{
	struct page *page;
	unsigned i, any;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned order = orders[i].order;

		for (any = 0; any < 2; any++) {
			gfp_t gfp = GFP_KERNEL | GFP_NOWAIT | GFP_ZERO;

			page = NEED(t, alloc_pages(gfp & ~GFP_ZERO, order));
			memset(page_address(page), DIRT, PAGE_SIZE << order);
			EXPECT_EQ(t, orders[i].free(page), 0);
			__asm__ volatile("" : "+r"(gfp)); /* not a constant now */
			page = NEED(t, any ? alloc_pages(gfp, order) : orders[i].zeroed());
			EXPECT(t, all_are(page, order, 0));
			EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
			EXPECT_EQ(t, orders[i].free(page), 0);
		}
	}
}

KTEST(frees_of_another_order_are_refused,
    .reports = "bad free: pfn|bad free: block|bad free: wrong order|bad free: double free|bad "
               "free: no such "
               "page|bad free: no such order|?history of pfn|? us  cpu ")
{
	u64 before = mm_event_sum(&kernel_memory, EV_BAD_FREE), bad = 0;
	bool panics = set_badpage_panic(false);
	struct page *page;
	unsigned i, j;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = orders[i].plain();
		KASSERT(page);
		for (j = 0; j < ARRAY_SIZE(orders); j++) {
			if (orders[j].order == orders[i].order)
				continue;
			EXPECT_EQ(t, orders[j].free(page), -EINVAL);
			bad++;
		}
		EXPECT_EQ(t, orders[i].free(NULL), -EINVAL);
		EXPECT_EQ(t, free_70(page), -EINVAL);
		bad += 2;
		EXPECT_EQ(t, orders[i].free(page), 0);
		EXPECT_EQ(t, orders[i].free(page), -EINVAL);
		bad++;
	}
	set_badpage_panic(panics);
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_BAD_FREE) - before, bad);
}

KTEST(no_such_order_is_no_page)
{
	u64 bad = mm_event_sum(&kernel_memory, EV_ALLOC_BAD_ORDER);

	EXPECT(t, !plain_70());
	EXPECT(t, !zeroed_70());
	EXPECT_EQ(t, mm_event_sum(&kernel_memory, EV_ALLOC_BAD_ORDER) - bad, 2);
}

/* While calls are recorded, other functions do the work of allocating and freeing. */
KTEST(recorded_ones_answer_alike)
{
	unsigned i, any, good = 0;

	trace_switch(&kernel_memory, true);
	for (i = 0; i < ARRAY_SIZE(orders) * 2; i++) {
		unsigned order = orders[i / 2].order;
		struct page *page = orders[i / 2].plain();

		any = i % 2;
		if (!page)
			break;
		memset(page_address(page), DIRT, PAGE_SIZE << order);
		if (orders[i / 2].free(page))
			break;
		page = any
		    ? mem_alloc_pages(&kernel_memory, GFP_MOVABLE | GFP_NOWAIT | GFP_ZERO, order)
		    : orders[i / 2].zeroed();
		good += page && all_are(page, order, 0) &&
		    page_word(page) == PAGE_WORD(1, PG_ALLOC, order) && !orders[i / 2].free(page);
	}
	trace_switch(&kernel_memory, false);
	EXPECT_EQ(t, good, ARRAY_SIZE(orders) * 2);
}

/* The slow path fills the cache, and gives a page of the batch to its caller. */
KTEST(first_page_of_a_refill_is_zero)
{
	struct memory *mem = ktest_backed_memory(t, 0, 2);
	const u64 *word;
	struct zone *zone;
	struct page *page;
	unsigned i;
	pfn_t pfn;

	if (!mem)
		return;
	zone = &mem->zones[ZONE_MOVABLE];
	set_plan(zone, 0, MT_MOVABLE, 4);
	for (pfn = zone->start_pfn; pfn < zone->end_pfn; pfn++)
		memset(page_address_in(mem, pfn_to_page_in(mem, pfn)), DIRT, PAGE_SIZE);
	page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT | GFP_ZERO, 0));
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_REFILL), 1);
	word = page_address_in(mem, page);
	for (i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		EXPECT_EQ(t, word[i], 0);
	EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
	restore_plan(zone);
}
