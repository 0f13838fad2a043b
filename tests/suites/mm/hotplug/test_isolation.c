/* SPDX-License-Identifier: MIT */
/*
 * test_isolation.c: isolating pageblocks and undoing it, under the policies disable and precise:
 * which state changes, which ranges are refused, and that no page of the range is allocated or
 * cached meanwhile.
 */
#include "tests/lib/mm_help.h"
#include <quarry/handle.h>
#include <quarry/isolation.h>

static struct census before, during, after;
static struct hoard hoard;
static struct page *pages[32];

/* Leave a block of each order allocated, so that free blocks and words vary. */
static void fragment(struct ktest *t, struct memory *mem, gfp_t gfp)
{
	unsigned order;

	for (order = 0; order <= MAX_ORDER; order++)
		EXPECT_EQ(t, alloc_on(0, mem, gfp, order, 2, &pages[2 * order]), 2);
	for (order = 0; order <= MAX_ORDER; order++)
		EXPECT_EQ(t, free_on(0, mem, order, 1, &pages[2 * order]), 1);
	empty_all(mem);
}

static void defragment(struct ktest *t, struct memory *mem)
{
	unsigned order;

	for (order = 0; order <= MAX_ORDER; order++)
		EXPECT_EQ(t, free_on(0, mem, order, 1, &pages[2 * order + 1]), 1);
}

KTEST_SUITE(isolation, KTEST_QUICK);

/*
 * An unlocked reader may read one count before pages are retired or freed, and another count after
 * that: the two do not fit together.
 */
KTEST_INSIDE(isolation_tolerates_counts_read_at_two_moments)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));
	struct mm_fail fail = {0};
	struct pageblock *pb;
	struct page *page;
	pfn_t block;

	REQUIRE(t, alloc_on(0, mem, GFP_MOVABLE, 0, 1, &page) == 1);
	empty_all(mem);
	block = ALIGN_DOWN(page_to_pfn_in(mem, page), BLOCK(1));
	pb = pageblock_of(mem, block);
	EXPECT_EQ(t, pb->nr_free, PAGEBLOCK_PAGES - 1);
	/* The values that a reader sees when another page is retired in between. */
	pb->nr_poisoned = 1;
	EXPECT_EQ(t, isolate(mem, block, BLOCK(1), ISO_PRECISE, &fail), 0);
	EXPECT_EQ(t, test_pages_isolated(mem, block, BLOCK(1), &fail), -EBUSY);
	EXPECT_EQ(t, fail.pfn, page_to_pfn_in(mem, page));
	unisolate(mem, block, BLOCK(1), ISO_PRECISE);
	pb->nr_poisoned = 0;
	EXPECT_EQ(t, free_on(0, mem, 0, 1, &page), 1);
}

KTEST(undo_restores_everything)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));
	const unsigned long nr = BLOCK(16);
	struct mm_fail fail = {0};
	unsigned p;

	fragment(t, mem, GFP_MOVABLE);
	census_take(&before, mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		EXPECT_EQ(t, isolate(mem, 0, nr, policies[p], &fail), 0);
		census_take(&during, mem);
		EXPECT_EQ(t, during.zone[ZONE_MOVABLE].isolated, 16);
		EXPECT_EQ(t, during.zone[ZONE_MOVABLE].free, 0);
		EXPECT_EQ(t, during.block[3].nr_free, before.block[3].nr_free);
		EXPECT_EQ(t, during.block[3].bits, before.block[3].bits | PB_ISOLATED);
		EXPECT_EQ(t, during.block[3].stack, 0);
		expect_sound(t, mem);
		unisolate(mem, 0, nr, policies[p]);
		census_take(&after, mem);
		census_compare(t, &before, &after);
	}
	defragment(t, mem);
}

KTEST(undo_keeps_every_type)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 8, 0));
	struct mm_fail fail = {0};
	struct zone *zone;
	irqflags_t flags;
	unsigned p;

	zone = test_zone(mem, ZONE_NORMAL);
	flags = spin_lock_irqsave(&zone->lock);
	pageblock_change_type(zone, BLOCK(1), MT_UNMOVABLE);
	pageblock_change_type(zone, BLOCK(2), MT_RECLAIMABLE);
	pageblock_change_type(zone, BLOCK(3), MT_CMA);
	spin_unlock_irqrestore(&zone->lock, flags);
	census_take(&before, mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		EXPECT_EQ(t, isolate(mem, 0, BLOCK(6), policies[p], &fail), 0);
		EXPECT_EQ(t, pageblock_type(pageblock_of(mem, BLOCK(2))), MT_RECLAIMABLE);
		unisolate(mem, 0, BLOCK(6), policies[p]);
		census_take(&after, mem);
		census_compare(t, &before, &after);
	}
}

KTEST(conflict_anywhere_in_the_range_is_undone, KTEST_SLOW)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct mm_fail fail = {0};
	unsigned p, k;

	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		for (k = 1; k < 6; k++) {
			u64 conflicts = mm_event_sum(mem, EV_ISO_CONFLICT);

			EXPECT_EQ(t, isolate(mem, BLOCK(k), BLOCK(1), policies[p], &fail), 0);
			census_take(&before, mem);
			EXPECT_EQ(t, isolate(mem, BLOCK(1), BLOCK(5), policies[p], &fail), -EBUSY);
			EXPECT_EQ(t, fail.why, WHY_ISOLATED);
			EXPECT_EQ(t, fail.pfn, BLOCK(k));
			EXPECT_COUNTED(t, mem, EV_ISO_CONFLICT, conflicts + 1);
			census_take(&after, mem);
			census_compare(t, &before, &after);
			unisolate(mem, BLOCK(k), BLOCK(1), policies[p]);
		}
	}
}

KTEST(bad_ranges_are_refused)
{
	const pfn_t top = ~(pfn_t)0 & ~(PAGEBLOCK_PAGES - 1);
	const struct {
		pfn_t start;
		unsigned long nr;
		/* borders within pageblocks: refused for an isolation, valid for a query */
		bool parts;
	} bad[] = {{0, 0, false}, {1, PAGEBLOCK_PAGES, true}, {0, 1, true},
	    {0, PAGEBLOCK_PAGES + 1, true}, {PAGEBLOCK_PAGES / 2, PAGEBLOCK_PAGES, true},
	    {BLOCK(4), PAGEBLOCK_PAGES, false}, {BLOCK(3), 2 * PAGEBLOCK_PAGES, false},
	    {BLOCK(1), top, false}, {top, PAGEBLOCK_PAGES, false},
	    {top, 2 * PAGEBLOCK_PAGES, false}, {0, top, false}};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct mm_fail fail;
	unsigned i, p;

	EXPECT_EQ(t, isolate(mem, 0, BLOCK(4), ISO_PRECISE, &fail), 0);
	census_take(&before, mem);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		undo_isolate_page_range(mem, bad[i].start, bad[i].nr);
	census_take(&after, mem);
	census_compare(t, &before, &after);
	undo_isolate_page_range(mem, 0, BLOCK(4));
	census_take(&before, mem);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (p = 0; p < ARRAY_SIZE(policies); p++) {
			fail = (struct mm_fail){0};
			EXPECT_EQ(t,
			    start_isolate_page_range(
			        mem, bad[i].start, bad[i].nr, policies[p], &fail),
			    -EINVAL);
			EXPECT_EQ(t, fail.why, WHY_RANGE);
		}
		fail = (struct mm_fail){0};
		EXPECT_EQ(t, test_pages_isolated(mem, bad[i].start, bad[i].nr, &fail), -EINVAL);
		EXPECT_EQ(t, fail.why, bad[i].parts ? WHY_BUSY : WHY_RANGE);
	}
	census_take(&after, mem);
	census_compare(t, &before, &after);
}

KTEST(holes_offline_blocks_and_borders_are_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 8));
	struct mm_fail fail = {0};

	make_hole(t, mem, BLOCK(6));
	EXPECT_EQ(t, offline_pages(mem, BLOCK(9), BLOCK(1), NULL, NULL), 0);
	census_take(&before, mem);
	EXPECT_EQ(t, isolate(mem, BLOCK(5), BLOCK(3), ISO_PRECISE, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_HOLE);
	EXPECT_EQ(t, fail.pfn, BLOCK(6));
	EXPECT_EQ(t, isolate(mem, BLOCK(3), BLOCK(2), ISO_PRECISE, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_ZONES);
	EXPECT_EQ(t, fail.pfn, BLOCK(4));
	EXPECT_EQ(t, isolate(mem, BLOCK(8), BLOCK(2), ISO_PRECISE, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_ALREADY);
	EXPECT_EQ(t, fail.pfn, BLOCK(9));
	census_take(&after, mem);
	census_compare(t, &before, &after);
}

KTEST(disable_policy_needs_the_caches_off)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct mm_fail fail = {0};

	census_take(&before, mem);
	EXPECT_EQ(t, start_isolate_page_range(mem, 0, BLOCK(2), ISO_DISABLE, &fail), -EINVAL);
	EXPECT_EQ(t, fail.why, WHY_BUSY);
	census_take(&after, mem);
	census_compare(t, &before, &after);
}

KTEST(isolation_in_a_wrong_context_is_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	struct mm_fail fail = {0};
	unsigned p;

	census_take(&before, mem);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		int irqs_off, locked;
		irqflags_t flags;

		EXPECT_EQ(t, zone_pcp_disable(test_zone(mem, ZONE_MOVABLE)), 0);
		flags = arch_irq_save();
		irqs_off = start_isolate_page_range(mem, 0, BLOCK(2), policies[p], &fail);
		arch_irq_restore(flags);
		spin_lock(&lock);
		locked = start_isolate_page_range(mem, 0, BLOCK(2), policies[p], &fail);
		spin_unlock(&lock);
		EXPECT_EQ(t, zone_pcp_enable(test_zone(mem, ZONE_MOVABLE)), 0);
		EXPECT_EQ(t, irqs_off, -EDEADLK);
		EXPECT_EQ(t, locked, -EDEADLK);
	}
	census_take(&after, mem);
	census_compare(t, &before, &after);
}

KTEST_COST(precise_sends_one_ipi_to_every_cpu)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));
	struct drain_cost cost = {0};
	struct mm_fail fail = {0};

	EXPECT_EQ(
	    t, isolate_range(mem, pfn_range(0, BLOCK(2)), iso_ops(ISO_PRECISE), &fail, &cost), 0);
	EXPECT_EQ(t, cost.rounds, 1);
	EXPECT_EQ(t, cost.ipis, mem->nr_cpus - 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_DRAIN_FORCED), 1);
	EXPECT(t, capacity_sum(test_zone(mem, ZONE_MOVABLE), 0) > 0 || PAGEBLOCK_ORDER == 3);
	undo_isolate_page_range(mem, 0, BLOCK(2));
}

/* A pageblock that is refused is not counted as isolated. */
KTEST_COST(pageblocks_are_counted)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct mm_fail fail = {0};

	set_isolated(test_zone(mem, ZONE_MOVABLE), BLOCK(3), true);
	EXPECT_EQ(t, isolate(mem, 0, BLOCK(6), ISO_PRECISE, &fail), -EBUSY);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_BLOCKS), 3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_UNDONE), 3);
	EXPECT_EQ(t, mm_event_sum(mem, EV_ISO_CONFLICT), 1);
	set_isolated(test_zone(mem, ZONE_MOVABLE), BLOCK(3), false);
}

/* Each block that the round gives back, of several pages or of one. */
KTEST_COST(blocks_given_back_are_counted)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone = test_zone(mem, ZONE_MOVABLE);
	struct mm_fail fail = {0};
	u64 blocks;

	zone->pcp_capacity[1][MT_MOVABLE] = 2;
	set_plan(zone, 0, MT_MOVABLE, 2);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 2, pages), 2);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 1, 1, pages + 2), 1);
	empty_all(mem);
	EXPECT_EQ(t, free_on(0, mem, 0, 2, pages), 2);
	EXPECT_EQ(t, free_on(0, mem, 1, 1, pages + 2), 1);
	blocks = mm_event_sum(mem, EV_PCP_DRAINED) + cached(zone, 0, 0, MT_MOVABLE) +
	    cached(zone, 0, 1, MT_MOVABLE);
	EXPECT(t, zone_pcp_pages(zone) >= 2);
	EXPECT_EQ(t, isolate(mem, 0, BLOCK(TEST_BLOCKS), ISO_PRECISE, &fail), 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_PCP_DRAINED), blocks);
	undo_isolate_page_range(mem, 0, BLOCK(TEST_BLOCKS));
	restore_plan(zone);
}

KTEST(undo_of_nothing_changes_nothing)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 4));

	census_take(&before, mem);
	undo_isolate_page_range(mem, 0, BLOCK(4));
	census_take(&after, mem);
	census_compare(t, &before, &after);
	EXPECT_COUNTED(t, mem, EV_ISO_UNDONE, 0);
}

/*
 * Blocks of orders 0, 0, 1, 2 and so on to MAX_ORDER - 1 fill one pageblock. All are freed while
 * the pageblock is isolated.
 */
KTEST(pages_freed_meanwhile_merge_and_come_back)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 8));
	struct mm_fail fail = {0};
	struct pageblock *pb;
	struct zone *zone;
	unsigned i, p;
	pfn_t block;

	zone = test_zone(mem, ZONE_MOVABLE);
	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		set_plan(zone, 0, MT_MOVABLE, 0);
		for (i = 0; i <= MAX_ORDER; i++)
			EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, i ? i - 1 : 0, 1, &pages[i]), 1);
		restore_plan(zone);
		block = ALIGN_DOWN(page_to_pfn_in(mem, pages[0]), PAGEBLOCK_PAGES);
		pb = pageblock_of(mem, block);
		EXPECT_EQ(t, pb->nr_free, 0);
		EXPECT_EQ(t, isolate(mem, block, BLOCK(1), policies[p], &fail), 0);
		for (i = 0; i <= MAX_ORDER; i++)
			EXPECT_EQ(
			    t, free_on(i % mem->nr_cpus, mem, i ? i - 1 : 0, 1, &pages[i]), 1);
		EXPECT_EQ(t, pb->nr_free, PAGEBLOCK_PAGES);
		EXPECT_EQ(t, free_order_at(mem, block), MAX_ORDER);
		EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), 7);
		EXPECT_EQ(t, test_pages_isolated(mem, block, BLOCK(1), &fail), 0);
		unisolate(mem, block, BLOCK(1), policies[p]);
		EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), 8);
		EXPECT_EQ(t, test_pages_isolated(mem, block, BLOCK(1), &fail), -EINVAL);
	}
}

/* Every CPU caches pages of the range first, and allocates all pages it can get afterwards. */
KTEST(no_page_of_an_isolated_block_is_allocated)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, 16));
	struct mm_fail fail = {0};
	unsigned i, p, cpu;

	for (p = 0; p < ARRAY_SIZE(policies); p++) {
		for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
			EXPECT_EQ(t, alloc_on(cpu, mem, GFP_MOVABLE, 0, 2, pages), 2);
			EXPECT_EQ(t, free_on(cpu, mem, 0, 2, pages), 2);
		}
		EXPECT_EQ(t, isolate(mem, 0, BLOCK(8), policies[p], &fail), 0);
		hoard = (struct hoard){.mem = mem, .gfp = GFP_MOVABLE | GFP_ATOMIC};
		for (cpu = 0; cpu < mem->nr_cpus; cpu++)
			ktest_on_cpu(cpu, hoard_take, &hoard);
		EXPECT(t, hoard.nr >= 7);
		for (i = 0; i < hoard.nr; i++)
			EXPECT(t, page_to_pfn_in(mem, hoard.page[i]) >= BLOCK(8));
		EXPECT_EQ(t, test_pages_isolated(mem, 0, BLOCK(8), &fail), 0);
		ktest_on_cpu(0, hoard_give, &hoard);
		unisolate(mem, 0, BLOCK(8), policies[p]);
	}
}

/* Isolated pages are taken from the middle of a stack; the other pages keep their order. */
KTEST_COST(precise_takes_only_isolated_pages_from_a_stack)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	unsigned last = ktest_cpus() - 1, i;
	struct mm_fail fail = {0};
	struct page *mixed[6], **slot;
	struct zone *zone;
	pfn_t block;

	zone = test_zone(mem, ZONE_MOVABLE);
	slot = mem->pcp[last]->stack[zone_stack(zone, 0, MT_MOVABLE)].slot;
	/* Cache three pages of one pageblock and three of another, alternately. */
	set_plan(zone, 0, MT_MOVABLE, 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 3, pages), 3);
	block = ALIGN_DOWN(page_to_pfn_in(mem, pages[0]), PAGEBLOCK_PAGES);
	EXPECT_EQ(t, isolate(mem, block, BLOCK(1), ISO_PRECISE, &fail), 0);
	EXPECT_EQ(t, alloc_on(0, mem, GFP_MOVABLE, 0, 3, &pages[3]), 3);
	undo_isolate_page_range(mem, block, BLOCK(1));
	set_plan(zone, 0, MT_MOVABLE, 6);
	for (i = 0; i < 6; i++)
		mixed[i] = pages[i % 2 * 3 + i / 2];
	EXPECT_EQ(t, free_on(last, mem, 0, 6, mixed), 6);
	EXPECT_EQ(t, cached(zone, last, 0, MT_MOVABLE), 6);
	EXPECT_EQ(t, isolate(mem, block, BLOCK(1), ISO_PRECISE, &fail), 0);
	EXPECT_EQ(t, cached(zone, last, 0, MT_MOVABLE), 3);
	for (i = 0; i < 3; i++) {
		EXPECT(t, slot && slot[i] == pages[3 + i]);
		EXPECT_EQ(t, state_of(mem, pages[i]), PG_FREE);
	}
	/* Restore the limits first: expect_sound would report 6 as more than the zone's share. */
	restore_plan(zone);
	expect_sound(t, mem);
	undo_isolate_page_range(mem, block, BLOCK(1));
}

/* A stack with more blocks than a batch; then one block of each order and type. */
KTEST(precise_takes_blocks_of_every_order_and_type)
{
	static struct page *many[5 * PCP_BATCH];
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	unsigned last = ktest_cpus() - 1, stack, nr = ARRAY_SIZE(many);
	struct mm_fail fail = {0};
	struct zone *zone;

	zone = test_zone(mem, ZONE_NORMAL);
	set_plan(zone, 0, MT_UNMOVABLE, (u16)(2 * nr));
	EXPECT_EQ(t, alloc_on(last, mem, GFP_KERNEL, 0, nr, many), nr);
	EXPECT_EQ(t, free_on(last, mem, 0, nr, many), nr);
	EXPECT(t, cached(zone, last, 0, MT_UNMOVABLE) >= nr);
	EXPECT_EQ(t, isolate(mem, 0, BLOCK(TEST_BLOCKS), ISO_PRECISE, &fail), 0);
	EXPECT_EQ(t, zone_pcp_pages(zone), 0);
	undo_isolate_page_range(mem, 0, BLOCK(TEST_BLOCKS));
	/* A block of the largest cached order is a whole pageblock. */
	for (stack = 0; stack < NR_CACHED_ORDERS * NR_CACHED_TYPES; stack++) {
		unsigned order = index_order(stack / NR_CACHED_TYPES);
		enum migratetype type = (enum migratetype)(stack % NR_CACHED_TYPES);
		pfn_t block;

		set_plan(zone, order, type, 2);
		EXPECT_EQ(t, alloc_on(last, mem, (gfp_t)type, order, 1, pages), 1);
		EXPECT_EQ(t, free_on(last, mem, order, 1, pages), 1);
		EXPECT(t, cached(zone, last, order, type) > 0);
		block = ALIGN_DOWN(page_to_pfn_in(mem, pages[0]), PAGEBLOCK_PAGES);
		EXPECT_EQ(t, isolate(mem, block, BLOCK(1), ISO_PRECISE, &fail), 0);
		EXPECT_EQ(t, state_of(mem, pages[0]), PG_FREE);
		EXPECT_EQ(t, test_pages_isolated(mem, block, BLOCK(1), &fail), 0);
		undo_isolate_page_range(mem, block, BLOCK(1));
		restore_plan(zone);
	}
	expect_sound(t, mem);
}
