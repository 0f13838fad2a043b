/* SPDX-License-Identifier: MIT */
/*
 * test_pcp.c: the per-CPU caches: refill and spill, the pages and orders that they take, and their
 * limits.  test_drain.c tests draining and disabling.
 */
#include "tests/lib/mm_help.h"
#include <quarry/isolation.h>
#include <quarry/memory_init.h>

#define ROOM 96 /* more than any stack of these tests holds */
static struct page *pages[ROOM + 1], *more[ROOM];

KTEST_SUITE(pcp, KTEST_MOSTLY_INSIDE);

KTEST_CONTRACT(capacity_0_uses_the_slow_path)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;
	unsigned cpu, order;
	u64 frees;

	zone = test_zone(mem, ZONE_MOVABLE);
	REQUIRE(t, zone_pcp_disable(zone) == 0);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		for (order = 0; order <= MAX_ORDER; order++) {
			frees = mm_event_sum(mem, EV_FREE_UNCACHED);
			EXPECT_EQ(t, alloc_on(cpu, mem, GFP_MOVABLE, order, 2, pages), 2);
			EXPECT_EQ(t, free_on(cpu, mem, order, 2, pages), 2);
			EXPECT_EQ(t, mm_event_sum(mem, EV_FREE_UNCACHED), frees + 2);
			EXPECT(t, !pcp_zone_nonempty(mem, cpu, zone));
		}
	}
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_REFILL), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_SPILL_BLOCKS), 0);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
	EXPECT_EQ(t, zone_pcp_enable(zone), 0);
}

KTEST_COST(refill_takes_batch_or_capacity_at_least_one)
{
	static const u16 capacities[] = {0, 1, 2, 3, 8};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;
	unsigned i, order;

	zone = test_zone(mem, ZONE_MOVABLE);
	for (order = 0; order < NR_SMALL_CACHED; order++) {
		for (i = 0; i < ARRAY_SIZE(capacities); i++) {
			unsigned capacity = MIN(capacities[i], stack_most(order));
			unsigned want = MAX(1u, MIN(order_batch(order), capacity));
			u64 pushed = mm_event_sum(mem, EV_PCP_REFILL_PAGES);

			set_plan(zone, order, MT_MOVABLE, capacity);
			EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, order, 1, pages), 1);
			EXPECT_EQ(t, cached(zone, 0, order, MT_MOVABLE), want - 1);
			EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_REFILL_PAGES), pushed + want - 1);
			EXPECT_EQ(t, free_on(0, mem, order, 1, pages), 1);
			empty_all(mem);
		}
	}
	restore_plan(zone);
}

KTEST(first_page_of_a_refill_is_the_callers)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;
	unsigned stack, i;

	zone = test_zone(mem, ZONE_MOVABLE);
	set_plan(zone, 0, MT_MOVABLE, 4);
	stack = zone_stack(zone, 0, MT_MOVABLE);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, pages), 1);
	EXPECT_EQ(t, page_word(pages[0]), PAGE_WORD(1, PG_ALLOC, 0));
	EXPECT_EQ(t, stack_count(&mem->pcp[0]->stack[stack]), 3);
	/* The buddy allocator splits off pages from the lowest up: the caller gets the lowest. */
	for (i = 0; i < stack_count(&mem->pcp[0]->stack[stack]); i++)
		EXPECT(t, mem->pcp[0]->stack[stack].slot[i] > pages[0]);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
	restore_plan(zone);
}

KTEST(refill_pushes_only_pages_of_its_type)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	struct zone *zone;
	unsigned type, i;

	zone = test_zone(mem, ZONE_NORMAL);
	for (type = 0; type < NR_CACHED_TYPES; type++) {
		unsigned stack = zone_stack(zone, 0, (enum migratetype)type);
		const struct pcp *pcp = mem->pcp[0];

		set_plan(zone, 0, (enum migratetype)type, 4);
		EXPECT_EQ(t, alloc_on(0, mem, (gfp_t)type, 0, 1, pages), 1);
		EXPECT_EQ(t, stack_count(&pcp->stack[stack]), 3);
		for (i = 0; i < stack_count(&pcp->stack[stack]); i++) {
			const struct pageblock *pb =
			    pageblock_of(mem, page_to_pfn_in(mem, pcp->stack[stack].slot[i]));

			EXPECT_EQ(t, pb->stack, stack);
			EXPECT_EQ(t, pageblock_type(pb), type);
		}
		EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
	}
	restore_plan(zone);
}

static void set_types(struct zone *zone, enum migratetype type)
{
	pfn_t pfn;

	for (pfn = zone->start_pfn; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = spin_lock_irqsave(&zone->lock);

		pageblock_change_type(zone, pfn, type);
		spin_unlock_irqrestore(&zone->lock, flags);
	}
}

/* CMA pages are only lent to movable requests, so they may not be cached as MOVABLE. */
KTEST(refill_from_another_type_caches_nothing)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	struct zone *zone;
	u64 direct;

	zone = test_zone(mem, ZONE_NORMAL);
	set_types(zone, MT_CMA);
	set_plan(zone, 0, MT_MOVABLE, 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, pages), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_FALLBACK_MIX), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_REFILL_PAGES), 0);
	EXPECT(t, !pcp_zone_nonempty(mem, 0, zone));
	direct = mm_event_sum(mem, EV_FREE_UNCACHED);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, pages), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_FREE_UNCACHED), direct + 1);
	EXPECT(t, !pcp_zone_nonempty(mem, 0, zone));
	EXPECT_EQ(t, zone->nr_free, zone->managed);
	restore_plan(zone);
}

/* Fill the order-0 stack of @cpu with @capacity pages, pages[0] first; then free one page more. */
static void overfill(struct ktest *t, struct memory *mem, unsigned cpu, unsigned capacity)
{
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);

	set_plan(zone, 0, MT_MOVABLE, (u16)capacity);
	REQUIRE(t, alloc_on(cpu, mem, GFP_MOVABLE, 0, capacity + 1, pages) == capacity + 1);
	empty_all(mem);
	EXPECT_EQ(t, free_on(cpu, mem, 0, capacity, pages), capacity);
	EXPECT_EQ(t, cached(zone, cpu, 0, MT_MOVABLE), capacity);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_SPILL), 0);
	EXPECT_EQ(t, free_on(cpu, mem, 0, 1, &pages[capacity]), 1);
}

KTEST(spill_frees_the_page_at_hand_and_the_oldest)
{
	const unsigned capacity = PCP_BATCH + 4;
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	struct page **slot;
	unsigned i;

	overfill(t, mem, 0, capacity);
	slot = mem->pcp[0]->stack[zone_stack(test_zone(mem, ZONE_MOVABLE), 0, MT_MOVABLE)].slot;
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_SPILL), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_SPILL_BLOCKS), PCP_BATCH);
	EXPECT_EQ(t, cached(test_zone(mem, ZONE_MOVABLE), 0, 0, MT_MOVABLE), capacity - PCP_BATCH);
	for (i = 0; i < PCP_BATCH; i++)
		EXPECT_EQ(t, state_of(mem, pages[i]), PG_FREE);
	for (i = PCP_BATCH; i < capacity; i++)
		EXPECT(t, slot && slot[i - PCP_BATCH] == pages[i]);
	EXPECT_EQ(t, state_of(mem, pages[capacity]), PG_FREE);
	restore_plan(test_zone(mem, ZONE_MOVABLE));
}

KTEST(spill_of_a_small_stack_frees_all_of_it)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;

	zone = test_zone(mem, ZONE_MOVABLE);
	overfill(t, mem, 0, 3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_SPILL_BLOCKS), 3);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	EXPECT_EQ(t, zone->nr_free, zone->managed);
	restore_plan(zone);
}

KTEST(page_lands_in_the_freeing_cpus_stack)
{
	struct memory *mem = ktest_memory(t, 0, 0, TEST_BLOCKS);
	struct zone *zone;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_MOVABLE);
	set_plan(zone, 0, MT_MOVABLE, 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 2, pages), 2);
	empty_all(mem);
	EXPECT_EQ(t, free_on(1, mem, 0, 2, pages), 2);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 0);
	EXPECT_EQ(t, cached(zone, 1, 0, MT_MOVABLE), 2);
	EXPECT(t, movable_slot(zone, 1, 1) == pages[1]);
	restore_plan(zone);
}

/* Also after a spill that left more pages than it gave back. */
KTEST_CONTRACT(newest_page_is_allocated_first)
{
	const unsigned capacity = 2 * PCP_BATCH + 4;
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	struct zone *zone;
	unsigned i;

	zone = test_zone(mem, ZONE_MOVABLE);
	overfill(t, mem, 0, capacity);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 4, more), 4);
	for (i = 0; i < 4; i++)
		EXPECT(t, more[i] == pages[capacity - 1 - i]);
	EXPECT_EQ(t, free_on(0, mem, 0, 4, more), 4);
	empty_all(mem);
	set_plan(zone, 0, MT_MOVABLE, 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 4, pages), 4);
	empty_all(mem);
	EXPECT_EQ(t, free_on(0, mem, 0, 4, pages), 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 4, more), 4);
	for (i = 0; i < 4; i++)
		EXPECT(t, more[i] == pages[3 - i]);
	EXPECT_EQ(t, free_on(0, mem, 0, 4, more), 4);
	restore_plan(zone);
}

/* Capacities are set to 1 for one order at a time, so that the zone's bound holds on 8 CPUs. */
KTEST_CONTRACT(orders_0_to_4_and_the_largest_are_cached)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_MAX_BLOCKS));
	struct zone *zone;
	unsigned order;

	zone = test_zone(mem, ZONE_MOVABLE);
	for (order = 0; order <= MAX_ORDER; order++) {
		bool kept = order <= 4 || order == MAX_ORDER;

		EXPECT_EQ(t, order_index(order) < NR_CACHED_ORDERS, kept);
		if (kept)
			set_plan(zone, order, MT_MOVABLE, 1);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, order, 1, pages), 1);
		EXPECT_EQ(t, zone_pcp_pages(zone), 0);
		EXPECT_EQ(t, free_on(0, mem, order, 1, pages), 1);
		EXPECT_EQ(t, zone_pcp_pages(zone), kept ? 1UL << order : 0);
		EXPECT_EQ(t, pcp_zone_nonempty(mem, 0, zone), kept);
		EXPECT_EQ(t, state_of(mem, pages[0]), kept ? PG_PCP : PG_FREE);
		/* A drain gives it back, and so does a smaller limit. */
		empty_all(mem);
		EXPECT_EQ(t, zone_pcp_pages(zone), 0);
		EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, order, 1, pages), 1);
		EXPECT_EQ(t, free_on(0, mem, order, 1, pages), 1);
		set_plan(zone, 0, MT_MOVABLE, 0);
		EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	}
	restore_plan(zone);
}

/*
 * The pages that all CPUs may cache by the limits of @zone. An order may have a capacity only if
 * the next smaller order has enough.
 */
static unsigned long plan_sum(struct ktest *t, const struct zone *zone)
{
	static const u16 most[] = {PCP_MOST, 32, 16, 8, 2, 2}, enough[] = {64, 32, 16, 8, 2, 2};
	unsigned long sum = 0;
	unsigned index, type;

	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++) {
			u16 each = zone->pcp_capacity[index][type];

			sum += (unsigned long)each << index_order(index);
			EXPECT(t, each <= most[index]);
			if (zone->kind == ZONE_MOVABLE && type != MT_MOVABLE)
				EXPECT_EQ(t, each, 0);
			else if (index > 0 && each)
				EXPECT(t, zone->pcp_capacity[index - 1][type] >= enough[index - 1]);
		}
	}
	return sum * zone->mem->nr_cpus;
}

KTEST_CONTRACT(capacities_make_at_most_a_sixteenth)
{
	static const enum zone_kind kinds[] = {ZONE_NORMAL, ZONE_MOVABLE};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 8));
	unsigned long size, managed, sum = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct zone *zone = test_zone(mem, kinds[i]);

		managed = zone->managed;
		/* Sizes beyond any test memory: limits are computed, but no CPU applies them. */
		for (size = 0; size <= 1UL << 20; size = size * 5 / 4 + 1) {
			zone->managed = size;
			set_limits(zone, 0);
			sum = plan_sum(t, zone);
			EXPECT(t, sum <= size / 16);
		}
		/* At the largest size every order has its full capacity. */
		if (PAGEBLOCK_ORDER > 3)
			EXPECT_EQ(t, zone->pcp_capacity[NR_CACHED_ORDERS - 1][MT_MOVABLE], 2);
		EXPECT(t, sum > 0);
		zone->managed = managed;
		set_limits(zone, managed / 2);
		EXPECT(t, plan_sum(t, zone) <= managed / 2 / 16);
		restore_plan(zone);
	}
}

KTEST(largest_order_loses_its_stack_first)
{
	struct memory *mem = ktest_memory(t, 0, 0, TEST_MAX_BLOCKS);
	unsigned long managed, small = 0, all;
	unsigned i, last = NR_CACHED_ORDERS - 1;
	struct zone *zone;

	if (last < NR_SMALL_CACHED) {
		ktest_skip(t, "the largest order is a small one");
		return;
	}
	REQUIRE(t, mem);
	zone = test_zone(mem, ZONE_MOVABLE);
	managed = zone->managed;
	for (i = 0; i < last; i++)
		small += MIN(stack_most(i), PCP_ENOUGH) << i;
	/* The share from which all orders have enough: the largest has two blocks. */
	all = (small + 2 * PAGEBLOCK_PAGES) * 16 * mem->nr_cpus;
	zone->managed = all;
	set_limits(zone, 0);
	EXPECT_EQ(t, zone->pcp_capacity[last][MT_MOVABLE], 2);
	EXPECT_EQ(t, zone->pcp_capacity[last - 1][MT_MOVABLE], stack_most(last - 1));
	zone->managed = all - 16;
	set_limits(zone, 0);
	EXPECT_EQ(t, zone->pcp_capacity[last][MT_MOVABLE], 1);
	EXPECT_EQ(t, zone->pcp_capacity[last - 1][MT_MOVABLE], stack_most(last - 1));
	zone->managed = small * 16 * mem->nr_cpus;
	set_limits(zone, 0);
	EXPECT_EQ(t, zone->pcp_capacity[last][MT_MOVABLE], 0);
	EXPECT_EQ(t, zone->pcp_capacity[last - 1][MT_MOVABLE], stack_most(last - 1));
	zone->managed = managed;
	restore_plan(zone);
}

KTEST(every_cpu_has_the_planned_limits)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS / 2, TEST_BLOCKS / 2));
	unsigned kind, cpu, index, type;

	for (kind = ZONE_NORMAL; kind < NR_ZONE_KINDS; kind++) {
		const struct zone *zone = test_zone(mem, (enum zone_kind)kind);

		for (cpu = 0; cpu < mem->nr_cpus; cpu++)
			for (index = 0; index < NR_CACHED_ORDERS; index++)
				for (type = 0; type < NR_CACHED_TYPES; type++)
					EXPECT_EQ(t, may_cache(zone, cpu, index_order(index), type),
					    zone->pcp_capacity[index][type]);
	}
}

KTEST_CONTRACT(smaller_limits_keep_the_newest_pages)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;
	unsigned i;

	zone = test_zone(mem, ZONE_MOVABLE);
	set_plan(zone, 0, MT_MOVABLE, 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 4, pages), 4);
	empty_all(mem);
	EXPECT_EQ(t, free_on(0, mem, 0, 4, pages), 4);
	set_plan(zone, 0, MT_MOVABLE, 1);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 1);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(t, state_of(mem, pages[i]), i < 3 ? PG_FREE : PG_PCP);
	restore_plan(zone);
}

KTEST(isolated_page_goes_to_the_buddy)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;
	irqflags_t flags;
	unsigned i;
	pfn_t pfn;

	zone = test_zone(mem, ZONE_MOVABLE);
	set_plan(zone, 0, MT_MOVABLE, 4);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 3, pages), 3);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 1, 1, &more[1]), 1);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, MAX_ORDER, 1, more), 1);
	empty_all(mem);
	/*
	 * Two pages are cached, then their pageblock is isolated, then the third is freed, and a
	 * block put.
	 */
	EXPECT_EQ(t, free_on(0, mem, 0, 2, pages), 2);
	pfn = ALIGN_DOWN(page_to_pfn_in(mem, pages[2]), PAGEBLOCK_PAGES);
	flags = spin_lock_irqsave(&zone->lock);
	pageblock_set_isolated(zone, pfn, true);
	spin_unlock_irqrestore(&zone->lock, flags);
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &pages[2]), 1);
	EXPECT_EQ(t, mem_put_page(mem, more[1]), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_FREE_ISOLATED), 2);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_SPILL_BLOCKS), 0);
	EXPECT_EQ(t, state_of(mem, pages[2]), PG_FREE);
	EXPECT_EQ(t, cached(zone, 0, 0, MT_MOVABLE), 2);
	for (i = 0; i < 2; i++)
		EXPECT(t, movable_slot(zone, 0, i) == pages[i]);
	undo_isolate_page_range(mem, pfn, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, free_on(0, mem, MAX_ORDER, 1, more), 1);
	restore_plan(zone);
}

/* The check of the counts covers every stack of the zone on that CPU, and no other stack. */
KTEST(nonempty_sees_each_stack_of_its_zone)
{
	struct memory *mem = NEED(t, ktest_memory(t, 1, 1, 1));
	unsigned kind, other, i;

	for (kind = 0; kind < NR_ZONE_KINDS; kind++) {
		for (i = 0; i < NR_CACHED_ORDERS * NR_CACHED_TYPES; i++) {
			struct pcp_stack *stack = &mem->pcp[0]->stack[stacks_of(kind) + i];

			stack_set_count(stack, i == 0 ? 1 : 0x100);
			for (other = 0; other < NR_ZONE_KINDS; other++)
				EXPECT_EQ(t, pcp_zone_nonempty(mem, 0, &mem->zones[other]),
				    other == kind);
			if (mem->nr_cpus > 1)
				EXPECT(t, !pcp_zone_nonempty(mem, 1, &mem->zones[kind]));
			stack_set_count(stack, 0);
		}
	}
}

#define OWN_BLOCKS 4u
/* Descriptors that are not aligned to their size, unlike those of the kernel's memory. */
static u64 own_words[1 + OWN_BLOCKS * PAGEBLOCK_PAGES * sizeof(struct page) / sizeof(u64)]
    __attribute__((aligned(64)));
static struct page *const own_memmap = (struct page *)&own_words[1];
static struct pageblock own_pageblocks[OWN_BLOCKS];
static struct pageblock_tree own_trees[OWN_BLOCKS];
static struct memory own;
static char own_arena[TEST_MAX_CPUS *
    (sizeof(struct pcp) + (NR_ZONE_KINDS + 1) * STACKS_PER_ZONE * sizeof(struct pcp_stack) +
        sizeof(struct trace_ring) + NR_CACHED_TYPES * PCP_SLOTS * sizeof(void *) + 256)]
    __attribute__((aligned(64)));
static size_t own_used;

static void *own_alloc(void *arg, size_t bytes)
{
	void *ptr = own_arena + own_used;

	own_used += ALIGN_UP(bytes, 64);
	return own_used <= sizeof(own_arena) ? memset(ptr, 0, bytes) : NULL;
}

KTEST_CONTRACT(pages_are_allocated_and_freed_before_memory_start)
{
	const struct memory_config cfg = {.name = "own",
	    .memmap = own_memmap,
	    .pageblocks = own_pageblocks,
	    .trees = own_trees,
	    .end_pfn = OWN_BLOCKS * PAGEBLOCK_PAGES,
	    .nr_cpus = ktest_cpus(),
	    .thread_cpus = ktest_cpus(),
	    .nr_nodes = 1,
	    .reclaim = &memory_reclaim,
	    .alloc = own_alloc};
	unsigned order;

	memset(own_words, 0, sizeof(own_words));
	memset(own_pageblocks, 0, sizeof(own_pageblocks));
	memset(own_trees, 0, sizeof(own_trees));
	own_used = 0;
	REQUIRE(t, memory_init(&own, &cfg) == 0);
	REQUIRE(t, memory_add_zone(&own, 0, ZONE_NORMAL, 0, cfg.end_pfn) == 0);
	memory_add_ram(&own, 0, cfg.end_pfn);
	memory_free_range(&own, 0, cfg.end_pfn);
	REQUIRE(t, memory_ready(&own) == 0);
	/* New limits do not turn the caches on. */
	REQUIRE(t, offline_pages(&own, 0, PAGEBLOCK_PAGES, NULL, NULL) == 0);
	REQUIRE(t, online_pages(&own, 0, PAGEBLOCK_PAGES, NULL) == 0);
	for (order = 0; order <= MAX_ORDER; order++) {
		EXPECT_EQ(t, alloc_on(0, &own, GFP_KERNEL, order, 2, pages), 2);
		EXPECT_EQ(t, free_on(0, &own, order, 2, pages), 2);
		EXPECT_EQ(t, zone_pcp_pages(test_zone(&own, ZONE_NORMAL)), 0);
	}
	EXPECT_EQ(t, own.zones[ZONE_NORMAL].nr_free, cfg.end_pfn);
	expect_sound(t, &own);
}
