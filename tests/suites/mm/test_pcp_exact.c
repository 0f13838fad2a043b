/* SPDX-License-Identifier: MIT */
/*
 * test_pcp_exact.c: the figures of the per-CPU caches: how a zone's share is split between orders
 * and types, what a spill moves, and what a slow free does with a block that is not what its
 * caller saw.
 */
#include "tests/lib/mm_help.h"

#define STACK 64 /* blocks that a stack of order 0 holds at most */
static struct page *pages[STACK + 1], *others[STACK];

/* ---- limits ---- */

struct plan {
	unsigned budget; /* pages for each CPU */
	u16 each[5];     /* the largest order is the last of them */
};

static void expect_plans(struct ktest *t, struct zone *zone, const struct plan *plans, unsigned nr)
{
	unsigned long share = 16UL * zone->mem->nr_cpus, managed = zone->managed, leaving;
	unsigned i, index, type;

	for (i = 0; i < nr; i++) {
		/* The largest zone with that budget; some of it may be about to leave. */
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

/* From the smallest order up, each type as much as another. */
static void a_share_is_split_between_orders_and_types(struct ktest *t)
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
	    {768, {64, 32, 16, 8}},
	    {2303, {64, 32, 16, 8, 0}},
	    {2304, {64, 32, 16, 8, 1}},
	    {3840, {64, 32, 16, 8, 2}},
	    {9999, {64, 32, 16, 8, 2}},
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
	    {256, {64, 32, 16, 8}},
	    {767, {64, 32, 16, 8}},
	    {768, {64, 32, 16, 8, 1}},
	    {1280, {64, 32, 16, 8, 2}},
	    {9999, {64, 32, 16, 8, 2}},
	};
	struct memory *mem;

	if (PAGEBLOCK_ORDER != 9) {
		ktest_skip(t, "the figures are those of pageblocks of 512 pages");
		return;
	}
	mem = ktest_memory(t, 0, 8, 8);
	REQUIRE(t, mem);
	expect_plans(t, test_zone(mem, ZONE_NORMAL), three, ARRAY_SIZE(three));
	expect_plans(t, test_zone(mem, ZONE_MOVABLE), one, ARRAY_SIZE(one));
}

/* ---- spills ---- */

/*
 * Two stacks side by side, both as full as they may ever be: what the first gives back leaves the
 * second alone.
 */
static void a_spill_touches_no_other_stack(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, TEST_MAX_BLOCKS, 0);
	struct zone *zone;
	struct page **slot;
	unsigned i;

	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_NORMAL);
	set_plan(zone, 0, MT_UNMOVABLE, STACK);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_UNMOVABLE, 0, STACK + 1, pages), STACK + 1);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, STACK, others), STACK);
	empty_all(mem);
	zone->pcp_capacity[0][MT_MOVABLE] = STACK;
	pcp_refresh_all(mem);
	slot = mem->pcp[0]->slot[zone_stack(zone, 0, MT_UNMOVABLE)];
	EXPECT(t, mem->pcp[0]->slot[zone_stack(zone, 0, MT_MOVABLE)] == slot + STACK);
	EXPECT_EQ(t, free_on(0, mem, 0, STACK, pages), STACK);
	EXPECT_EQ(t, free_on(0, mem, 0, STACK, others), STACK);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_UNMOVABLE), STACK);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), STACK);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &pages[STACK]), 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_UNMOVABLE), STACK - PCP_BATCH);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), STACK);
	for (i = 0; i < STACK - PCP_BATCH; i++)
		EXPECT(t, slot[i] == pages[i + PCP_BATCH]);
	for (i = 0; i < STACK; i++)
		EXPECT(t, slot[STACK + i] == others[i]);
	restore_plan(zone);
}

/* ---- refills ---- */

/* The caller's block and those cached beside it: down to the watermark, and not below. */
static void a_refill_leaves_the_watermark(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS);
	struct zone *zone;
	unsigned order;

	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_MOVABLE);
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

/* Nor is a block of an order without a stack searched in one. */
static void order_without_a_stack_uses_the_free_lists(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, TEST_BLOCKS, TEST_BLOCKS, 0);
	struct zone *zone;
	unsigned i;

	if (MAX_ORDER < 5) {
		ktest_skip(t, "every order has a stack");
		return;
	}
	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_DMA32);
	/* Each stack of the zone before it has pages in turn. */
	for (i = 0; i < NR_CACHED_TYPES; i++) {
		set_plan(zone, 0, (enum migratetype)i, 2);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_DMA32 | (gfp_t)i, 0, 1, pages), 1);
		EXPECT_EQ(t, cached(zone, 0, 0, i), 1);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_KERNEL, 4, 1, others), 1);
		EXPECT_EQ(t, page_word(others[0]), PAGE_WORD(1, PG_ALLOC, 4));
		EXPECT_EQ(t, cached(zone, 0, 0, i), 1);
		EXPECT_EQ(t, free_on(0, mem, 4, 1, others), 1);
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

/* The word has changed since the caller's check: another CPU has freed it, or taken it. */
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
	/* With a stack that has space, and with one that has none. */
	for (full = 0; full < 2; full++) {
		if (full) {
			for (i = 1; i < 4; i++)
				EXPECT_EQ(t, mem_free_pages(job->mem, page[i], 0), 0);
		}
		free = job->zone->nr_free;
		direct = mm_event_sum(job->mem, EV_FREE_DIRECT);
		for (i = 0; i < ARRAY_SIZE(old); i++) {
			EXPECT(t, !pcp_free_slow(job->mem, page[0], 0, old[i]));
			EXPECT(t, arch_irqs_enabled() && !spin_is_held(&job->zone->lock));
			EXPECT_EQ(t, page_word(page[0]), PAGE_WORD(1, PG_ALLOC, 0));
		}
		EXPECT_EQ(t, job->zone->nr_free, free);
		EXPECT_EQ(t, zone_pcp_pages(job->zone), full ? job->capacity : 0);
		EXPECT_EQ(t, mm_event_sum(job->mem, EV_FREE_DIRECT), direct);
	}
	EXPECT(t, pcp_free_slow(job->mem, page[0], 0, PAGE_WORD(1, PG_ALLOC, 0)));
	EXPECT_EQ(t, zone_pcp_pages(job->zone), 0);
	EXPECT_EQ(t, job->zone->nr_free, job->zone->managed);
	EXPECT(t, arch_irqs_enabled());
}

static void changed_block_is_not_freed(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, TEST_BLOCKS, 0);
	struct job job = {.t = t, .mem = mem};
	unsigned capacity;

	REQUIRE(t, mem);
	job.zone = test_zone(mem, ZONE_NORMAL);
	for (capacity = 0; capacity <= 3; capacity += 3) {
		job.capacity = capacity;
		set_plan(job.zone, 0, MT_UNMOVABLE, (u16)capacity);
		ktest_on_cpu(0, free_by_old_words, &job);
	}
	restore_plan(job.zone);
}

KTEST_SUITE(pcp_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE,
    KTEST(a_share_is_split_between_orders_and_types), KTEST(a_spill_touches_no_other_stack),
    KTEST_CONTRACT(a_refill_leaves_the_watermark), KTEST(order_without_a_stack_uses_the_free_lists),
    KTEST(changed_block_is_not_freed));
