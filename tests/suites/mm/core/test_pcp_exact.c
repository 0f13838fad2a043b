/* SPDX-License-Identifier: MIT */
/*
 * test_pcp_exact.c: the figures of the per-CPU caches: the split of a zone's share between orders
 * and types; the number of blocks that a spill and a piece of a drain round move; and slow frees of
 * a block that has changed since the caller's check.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include "mm/hotplug/isolate.h"
#include <quarry/isolation.h>

#define STACK PCP_MOST             /* most blocks that a stack of order 0 holds */
#define SPILL (PCP_BATCH_MOST / 2) /* most blocks that a spill moves */
static struct page *pages[STACK + 1], *others[STACK];

/* ---- limits ---- */

struct plan {
	unsigned budget; /* pages for each CPU */
	u16 each[6];     /* by order; the last is the largest order */
};

static void expect_plans(struct ktest *t, struct zone *zone, const struct plan *plans, unsigned nr)
{
	unsigned long share = 16UL * zone->mem->nr_cpus, managed = zone->managed, leaving;
	unsigned i, index, type;

	for (i = 0; i < nr; i++) {
		/* The largest zone with that budget; in odd rows, 1000 pages more are leaving. */
		leaving = i % 2 * 1000;
		zone->managed = plans[i].budget * share + share - 1 + leaving;
		set_limits(zone, leaving);
		for (index = 0; index < NR_CACHED_ORDERS; index++) {
			for (type = 0; type < NR_CACHED_TYPES; type++) {
				bool used = zone->kind != ZONE_MOVABLE || type == MT_MOVABLE;
				unsigned want = used ? plans[i].each[index] : 0;

				if (zone->pcp_capacity[index][type] != want)
					ktest_fail(t, __FILE__, __LINE__,
					    "%u pages, order %u, type %u: %u, not %u",
					    plans[i].budget, index_order(index), type,
					    zone->pcp_capacity[index][type], want);
			}
		}
	}
	zone->managed = managed;
	restore_plan(zone);
}

KTEST_SUITE(pcp_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The share goes to the smallest orders first, and equally to each type. */
KTEST(a_share_is_split_between_orders_and_types, KTEST_SLOW)
{
	static const struct plan three[] = {
	    {0, {0}},
	    {2, {0}},
	    {3, {1}},
	    {5, {1}},
	    {6, {2}},
	    {191, {63}},
	    {192, {64}},
	    {197, {64}},
	    {198, {64, 1}},
	    {383, {64, 31}},
	    {384, {64, 32}},
	    {395, {64, 32}},
	    {396, {64, 32, 1}},
	    {576, {64, 32, 16}},
	    {599, {64, 32, 16}},
	    {600, {64, 32, 16, 1}},
	    {767, {64, 32, 16, 7}},
	    {768, {64, 32, 16, 8}},
	    {815, {64, 32, 16, 8}},
	    {816, {64, 32, 16, 8, 1}},
	    {864, {64, 32, 16, 8, 2}},
	    {866, {64, 32, 16, 8, 2}},
	    {867, {65, 32, 16, 8, 2}},
	    {2207, {511, 32, 16, 8, 2}},
	    {2208, {512, 32, 16, 8, 2}},
	    {2399, {512, 32, 16, 8, 2, 0}},
	    {2400, {64, 32, 16, 8, 2, 1}},
	    {2403, {65, 32, 16, 8, 2, 1}},
	    {3936, {64, 32, 16, 8, 2, 2}},
	    {9999, {512, 32, 16, 8, 2, 2}},
	};
	static const struct plan one[] = {
	    {0, {0}},
	    {1, {1}},
	    {63, {63}},
	    {64, {64}},
	    {65, {64}},
	    {66, {64, 1}},
	    {127, {64, 31}},
	    {128, {64, 32}},
	    {131, {64, 32}},
	    {132, {64, 32, 1}},
	    {192, {64, 32, 16}},
	    {199, {64, 32, 16}},
	    {200, {64, 32, 16, 1}},
	    {255, {64, 32, 16, 7}},
	    {256, {64, 32, 16, 8}},
	    {271, {64, 32, 16, 8}},
	    {272, {64, 32, 16, 8, 1}},
	    {288, {64, 32, 16, 8, 2}},
	    {289, {65, 32, 16, 8, 2}},
	    {735, {511, 32, 16, 8, 2}},
	    {736, {512, 32, 16, 8, 2}},
	    {799, {512, 32, 16, 8, 2}},
	    {800, {64, 32, 16, 8, 2, 1}},
	    {1312, {64, 32, 16, 8, 2, 2}},
	    {9999, {512, 32, 16, 8, 2, 2}},
	};
	struct memory *mem;

	if (PAGEBLOCK_ORDER != 9) {
		ktest_skip(t, "the figures are those of pageblocks of 512 pages");
		return;
	}
	mem = NEED(t, ktest_memory(t, 0, 8, 8));
	expect_plans(t, test_zone(mem, ZONE_NORMAL), three, ARRAY_SIZE(three));
	expect_plans(t, test_zone(mem, ZONE_MOVABLE), one, ARRAY_SIZE(one));
}

/* ---- batches ---- */

KTEST(a_large_stack_is_refilled_to_its_half)
{
	static const struct {
		u16 capacity, cached;
	} rows[] = {{16, 15}, {17, 15}, {64, 15}, {65, 31}, {254, 126}, {256, 127}, {STACK, 127}};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	unsigned i;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		set_plan(zone, 0, MT_MOVABLE, rows[i].capacity);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, pages), 1);
		EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), rows[i].cached);
		EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
		empty_all(mem);
	}
	restore_plan(zone);
}

/* ---- rounds ---- */

/* Fill a stack of CPU 0 with STACK pages; false if it then holds another number. */
static bool fill_stack(struct ktest *t, struct memory *mem, struct zone *zone)
{
	set_plan(zone, 0, MT_MOVABLE, STACK);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, STACK, pages), STACK);
	empty_all(mem);
	EXPECT_EQ(t, free_on(0, mem, 0, STACK, pages), STACK);
	return cached(zone, 0, 0, MT_MOVABLE) == STACK;
}

static void one_piece(void *arg)
{
	irqflags_t flags = arch_irq_save();

	pcp_drain_zone_local(arg);
	arch_irq_restore(flags);
}

KTEST(a_round_gives_back_a_stack_in_pieces)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	REQUIRE(t, fill_stack(t, mem, zone));
	ktest_on_cpu(0, one_piece, zone);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), STACK - DRAIN_PIECE);
	EXPECT(t, drain_all_pages(mem, zone) >= 0);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	REQUIRE(t, fill_stack(t, mem, zone));
	EXPECT(t, drain_all_pages(mem, NULL) >= 0);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	REQUIRE(t, fill_stack(t, mem, zone));
	ktest_on_cpu(0, job_drain, mem);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	REQUIRE(t, fill_stack(t, mem, zone));
	EXPECT_EQ(t, zone_pcp_disable(zone), 0);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
	restore_plan(zone);
}

/* Of a large stack, exactly the pages of the isolated pageblock are drained. */
KTEST(precise_looks_at_all_of_a_large_stack)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	unsigned i, inside = 0;
	struct mm_fail fail;
	pfn_t block;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	REQUIRE(t, fill_stack(t, mem, zone));
	block = ALIGN_DOWN(page_to_pfn_in(mem, pages[0]), PAGEBLOCK_PAGES);
	for (i = 0; i < STACK; i++)
		inside += ALIGN_DOWN(page_to_pfn_in(mem, pages[i]), PAGEBLOCK_PAGES) == block;
	EXPECT_EQ(t, start_isolate_page_range(mem, block, PAGEBLOCK_PAGES, ISO_PRECISE, &fail), 0);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), STACK - inside);
	EXPECT_EQ(t, test_pages_isolated(mem, block, PAGEBLOCK_PAGES, &fail), 0);
	undo_isolate_page_range(mem, block, PAGEBLOCK_PAGES);
	empty_all(mem);
	restore_plan(zone);
}

static void one_look(void *arg)
{
	irqflags_t flags = arch_irq_save();

	pcp_drain_isolated_local(arg);
	arch_irq_restore(flags);
}

/*
 * When no pageblock is isolated any more, the round's place in the stack is reset. Otherwise the
 * next round would start at the old place, and miss pages.
 */
KTEST(place_of_a_round_goes_with_the_isolation)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	pfn_t block;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	REQUIRE(t, fill_stack(t, mem, zone));
	block = ALIGN_DOWN(page_to_pfn_in(mem, pages[STACK - 1]), PAGEBLOCK_PAGES);
	set_isolated(zone, block, true);
	ktest_on_cpu(0, one_look, zone);
	EXPECT(t, mem->pcp[0]->scan_left > 0);
	set_isolated(zone, block, false);
	EXPECT(t, drain_isolated_pages(mem) >= 0);
	EXPECT_EQ(t, mem->pcp[0]->scan_left, 0);
	empty_all(mem);
	restore_plan(zone);
}

/* ---- zones ---- */

/* Let @zone refuse all requests, or no longer. */
static void close_zone(struct zone *zone, bool closed)
{
	if (closed)
		WRITE_ONCE(zone->wmark[WMARK_MIN], zone->nr_free);
	else
		zone_set_watermarks(zone);
}

static void expect_from(
    struct ktest *t, struct zone *zone, unsigned order, unsigned nr, struct page **got)
{
	unsigned i;

	EXPECT_EQ(t, alloc_on(0, zone->mem, GFP_MOVABLE, order, nr, got), nr);
	for (i = 0; i < nr; i++)
		EXPECT(t, zone_of(zone->mem, page_to_pfn_in(zone->mem, got[i])) == zone);
}

/*
 * The first zone is at its watermark. So a batch comes from the second zone, with one slow path.
 * A larger block, which the first zone has not, draws no single pages after it from the second
 * zone, although the CPU caches some of these.
 */
KTEST_CONTRACT(hot_path_follows_the_zone_that_has_pages)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, TEST_BLOCKS));
	struct zone *near = test_zone(mem, ZONE_MOVABLE), *other = test_zone(mem, ZONE_NORMAL);
	struct page *pair;

	set_plan(near, 0, MT_MOVABLE, 4);
	set_plan(other, 0, MT_MOVABLE, 4);
	close_zone(near, true);
	expect_from(t, other, 0, 4, pages);
	EXPECT_COUNTED(t, mem, EV_ALLOC_SLOW, 1);
	/* The next batch comes from the first zone again, which is above its watermark now. */
	close_zone(near, false);
	expect_from(t, near, 0, 4, others);
	EXPECT_COUNTED(t, mem, EV_ALLOC_SLOW, 2);
	EXPECT_EQ(t, free_on(0, mem, 0, 4, pages), 4);
	EXPECT_EQ(t, cached(other, 0, 0, MT_MOVABLE), 4);
	close_zone(near, true);
	expect_from(t, other, 1, 1, &pair);
	close_zone(near, false);
	expect_from(t, near, 0, 1, pages);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 4, others), 4);
	EXPECT_EQ(t, free_on(0, mem, 1, 1, &pair), 1);
	restore_plan(near);
	restore_plan(other);
}

/* A request gets its type even before the slow path has chosen a stack for the type. */
KTEST(first_request_of_a_type_gets_its_type)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_MAX_BLOCKS, 0));
	struct zone *zone = test_zone(mem, ZONE_NORMAL);

	set_plan(zone, 0, MT_UNMOVABLE, 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_UNMOVABLE, 0, 1, pages), 1);
	EXPECT(t, cached(zone, 0, 0, MT_UNMOVABLE) > 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, others), 1);
	EXPECT_EQ(t, pageblock_type(pageblock_of(mem, page_to_pfn_in(mem, others[0]))), MT_MOVABLE);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, others), 1);
	restore_plan(zone);
}

/* ---- spills ---- */

/*
 * Two neighbouring stacks, both as full as possible: a spill of the first leaves the second
 * unchanged.
 */
KTEST(a_spill_touches_no_other_stack)
{
	struct memory *mem;
	struct zone *zone;
	struct page **slot;
	unsigned i;

	if (TEST_MAX_BLOCKS * PAGEBLOCK_PAGES < 3 * STACK) {
		ktest_skip(t, "too little memory for two full stacks");
		return;
	}
	mem = NEED(t, ktest_memory(t, 0, TEST_MAX_BLOCKS, 0));
	zone = test_zone(mem, ZONE_NORMAL);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_UNMOVABLE, 0, STACK + 1, pages), STACK + 1);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, STACK, others), STACK);
	empty_all(mem);
	set_plan(zone, 0, MT_UNMOVABLE, STACK);
	zone->pcp_capacity[0][MT_MOVABLE] = STACK;
	pcp_refresh_all(mem);
	slot = mem->pcp[0]->stack[zone_stack(zone, 0, MT_UNMOVABLE)].slot;
	EXPECT(t, mem->pcp[0]->stack[zone_stack(zone, 0, MT_MOVABLE)].slot == slot + STACK);
	EXPECT_EQ(t, free_on(0, mem, 0, STACK, pages), STACK);
	EXPECT_EQ(t, free_on(0, mem, 0, STACK, others), STACK);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_UNMOVABLE), STACK);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), STACK);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &pages[STACK]), 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_UNMOVABLE), STACK - SPILL);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), STACK);
	for (i = 0; i < STACK - SPILL; i++)
		EXPECT(t, slot && slot[i] == pages[i + SPILL]);
	for (i = 0; i < STACK; i++)
		EXPECT(t, slot && slot[STACK + i] == others[i]);
	restore_plan(zone);
}

/* ---- refills ---- */

/* A refill takes blocks, the caller's included, only down to the watermark. */
KTEST_CONTRACT(a_refill_leaves_the_watermark)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	unsigned order;
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	for (order = 0; order < 2; order++) {
		set_plan(zone, order, MT_MOVABLE, 16);
		zone->wmark[WMARK_MIN] = zone->nr_free - 7;
		EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE | GFP_NOWAIT, order, 1, pages), 1);
		EXPECT_EQ(t, cached(zone, 0, order, MT_MOVABLE), order ? 2 : 6);
		EXPECT_EQ(t, zone->nr_free, zone->wmark[WMARK_MIN] + order);
		zone_set_watermarks(zone);
		EXPECT_EQ(t, free_on(0, mem, order, 1, pages), 1);
		empty_all(mem);
	}
	restore_plan(zone);
}

/* A request of an order without a stack takes no block of another stack. */
KTEST(order_without_a_stack_uses_the_free_lists, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, TEST_BLOCKS, TEST_BLOCKS, 0);
	struct zone *zone;
	unsigned i;

	if (MAX_ORDER <= NR_SMALL_CACHED) {
		ktest_skip(t, "every order has a stack");
		return;
	}
	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_DMA32);
	/* In turn, each order-0 stack of zone DMA32, which precedes zone NORMAL, has pages. */
	for (i = 0; i < NR_CACHED_TYPES; i++) {
		set_plan(zone, 0, (enum migratetype)i, 2);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_DMA32 | (gfp_t)i, 0, 1, pages), 1);
		EXPECT_EQ(t, cached(zone, 0, 0, i), 1);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_KERNEL, NR_SMALL_CACHED, 1, others), 1);
		EXPECT_EQ(t, page_word(others[0]), PAGE_WORD(1, PG_ALLOC, NR_SMALL_CACHED));
		EXPECT_EQ(t, cached(zone, 0, 0, i), 1);
		EXPECT_EQ(t, free_on(0, mem, NR_SMALL_CACHED, 1, others), 1);
		EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
		empty_all(mem);
	}
	restore_plan(zone);
}

/* ---- slow frees ---- */

struct job {
	struct ktest *t;
	struct memory *mem;
	struct zone *zone;
	unsigned capacity;
};

/*
 * The page's word is no longer the one that the caller has read, as if another CPU had freed or
 * taken the page.
 */
static void free_by_old_words(void *arg)
{
	static const u32 old[] = {PAGE_WORD(2, PG_ALLOC, 0), PAGE_WORD(0, PG_FREEING, 0),
	    PAGE_WORD(1, PG_ALLOC, 0) | PAGE_LOCKED, PAGE_WORD(1, PG_ALLOC, 0) | PAGE_PINNED};
	struct job *job = arg;
	struct ktest *t = job->t;
	struct page *page[4];
	unsigned long free;
	unsigned i, full;
	u64 direct;

	for (i = 0; i < 4; i++) {
		page[i] = mem_alloc_pages(job->mem, GFP_KERNEL, 0);
		REQUIRE(t, page[i]);
	}
	drain_local_pages(job->mem, NULL);
	/* Free into a stack that has space, and into a stack that has none. */
	for (full = 0; full < 2; full++) {
		if (full) {
			for (i = 1; i < 4; i++)
				EXPECT_EQ(t, mem_free_pages(job->mem, page[i], 0), 0);
		}
		free = job->zone->nr_free;
		direct = mm_event_sum(job->mem, EV_FREE_UNCACHED);
		for (i = 0; i < ARRAY_SIZE(old); i++) {
			EXPECT(t, !pcp_free_slow(job->mem, page[0], 0, old[i]));
			EXPECT(t, arch_irqs_enabled() && !spin_is_held(&job->zone->lock));
			EXPECT_EQ(t, page_word(page[0]), PAGE_WORD(1, PG_ALLOC, 0));
		}
		EXPECT_EQ(t, job->zone->nr_free, free);
		EXPECT_EQ(t, zone_pcp_pages(job->zone), full ? job->capacity : 0);
		EXPECT_EQ(t, mm_event_sum(job->mem, EV_FREE_UNCACHED), direct);
	}
	EXPECT(t, pcp_free_slow(job->mem, page[0], 0, PAGE_WORD(1, PG_ALLOC, 0)));
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 0);
	EXPECT_EQ(t, job->zone->nr_free, job->zone->managed);
	EXPECT(t, arch_irqs_enabled());
}

KTEST(changed_block_is_not_freed)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	struct job job = {.t = t, .mem = mem};
	unsigned capacity;

	job.zone = test_zone(mem, ZONE_NORMAL);
	for (capacity = 0; capacity <= 3; capacity += 3) {
		job.capacity = capacity;
		set_plan(job.zone, 0, MT_UNMOVABLE, (u16)capacity);
		ktest_on_cpu(0, free_by_old_words, &job);
	}
	restore_plan(job.zone);
}
