/* SPDX-License-Identifier: MIT */
/*
 * test_page_report.c: reporting free pageblocks to the host: which ones, how often, and while other
 * CPUs use the memory.
 */
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/wait_help.h"
#include <quarry/page_report.h>
#include <quarry/isolation.h>

#define MANY TEST_MAX_BLOCKS

static unsigned take(struct memory *mem, pfn_t *blocks, unsigned max)
{
	struct report_walk walk = {0};

	return take_unreported(mem, &walk, blocks, max);
}

static bool reported(const struct memory *mem, pfn_t pfn)
{
	return READ_ONCE(pageblock_of(mem, pfn)->bits) & PB_REPORTED;
}

/* Tell the host of all free memory, also of the pageblocks left for the watermarks. */
static void report_all(struct memory *mem)
{
	pfn_t blocks[MANY];
	unsigned nr;

	while ((nr = take(mem, blocks, MANY)))
		give_reported(mem, blocks, nr, true);
}

/* Reports leave @zone @kept free pages, and at most two pageblocks more. */
static void expect_left(struct ktest *t, struct zone *zone, unsigned long kept)
{
	pfn_t blocks[MANY];
	unsigned nr = take(zone->mem, blocks, MANY);

	EXPECT(t, nr > 0);
	EXPECT_RANGE(t, zone->nr_free, kept, kept + 2 * PAGEBLOCK_PAGES - 1);
	give_reported(zone->mem, blocks, nr, false);
}

KTEST_SUITE(page_report, KTEST_QUICK);

KTEST(report_walk_continues_where_it_stopped, KTEST_SLOW)
{
	struct memory *mem =
	    NEED(t, ktest_memory(t, TEST_BLOCKS / 4, TEST_BLOCKS / 4, TEST_BLOCKS / 2));
	struct report_walk walk = {0};
	pfn_t blocks[MANY], all[MANY];
	unsigned nr, total = 0;

	while ((nr = take_unreported(mem, &walk, blocks, 3))) {
		EXPECT(t, nr <= 3 && total + nr <= MANY);
		memcpy(all + total, blocks, nr * sizeof(*all));
		total += nr;
		/* Taken pageblocks are on no free list, and are not taken twice. */
		expect_sound(t, mem);
		EXPECT_EQ(
		    t, memory_free_pages(mem), memory_managed_pages(mem) - total * PAGEBLOCK_PAGES);
	}
	EXPECT(t, total > TEST_BLOCKS / 2);
	EXPECT_EQ(t, take_unreported(mem, &walk, blocks, 3), 0);
	give_reported(mem, all, total, false);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
	/* The host was not told of these pageblocks, so they are taken again. */
	EXPECT_EQ(t, take(mem, all, MANY), total);
	give_reported(mem, all, total, true);
	EXPECT_EQ(t, mm_event_sum(mem, EV_REPORTED), total);
	/* The pageblocks left for the watermarks come next; then there are no more. */
	nr = take(mem, blocks, MANY);
	EXPECT_EQ(t, (total + nr) * PAGEBLOCK_PAGES, memory_managed_pages(mem));
	give_reported(mem, blocks, nr, true);
	EXPECT_EQ(t, take(mem, blocks, MANY), 0);
}

KTEST(pages_below_the_watermark_are_not_reported)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	struct zone *zone;
	pfn_t blocks[MANY];
	unsigned nr;

	zone = test_zone(mem, ZONE_MOVABLE);
	expect_left(t, zone, zone->wmark[WMARK_HIGH]);
	/* The high watermark decides, however far above the other watermarks it is. */
	zone->wmark[WMARK_MIN] = zone->wmark[WMARK_LOW] = PAGEBLOCK_PAGES;
	zone->wmark[WMARK_HIGH] = 4 * PAGEBLOCK_PAGES;
	nr = take(mem, blocks, MANY);
	EXPECT_EQ(t, zone->nr_free, 4 * PAGEBLOCK_PAGES);
	give_reported(mem, blocks, nr, true);
	zone_set_watermarks(zone);
}

/* Let all pageblocks of @zone from number @from on be lent, or give them back. */
static void lend(struct zone *zone, unsigned from, bool on)
{
	pfn_t pfn = zone->start_pfn + ((pfn_t)from << PAGEBLOCK_ORDER);

	for (; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES)
		set_type(zone, pfn, on ? MT_CMA : MT_MOVABLE);
}

/* A kernel request cannot use lent pages, so the zone keeps its high watermark in other pages. */
KTEST(lent_pages_do_not_count_for_the_kernel)
{
	const unsigned long own = TEST_BLOCKS / 2 * PAGEBLOCK_PAGES;
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 1));
	pfn_t blocks[MANY];
	struct zone *zone;
	struct page *page;
	unsigned nr;

	zone = test_zone(mem, ZONE_NORMAL);
	lend(zone, TEST_BLOCKS / 2, true);
	zone->wmark[WMARK_HIGH] = own - PAGEBLOCK_PAGES - zone->reserve;
	nr = take(mem, blocks, MANY);
	/* All but one of the lent pageblocks, and one other. */
	EXPECT_EQ(t, nr, TEST_BLOCKS / 2);
	EXPECT(t, zone->nr_free - zone->nr_free_cma >= zone->wmark[WMARK_HIGH] + zone->reserve);
	zone->wmark[WMARK_MIN] = zone->wmark[WMARK_LOW] = zone->wmark[WMARK_HIGH] - 1;
	page = mem_alloc_pages(mem, GFP_KERNEL | GFP_NOWAIT, 0);
	EXPECT(t, page);
	EXPECT_EQ(t, page ? mem_free_pages(mem, page, 0) : 0, 0);
	give_reported(mem, blocks, nr, false);
	drain_all_pages(mem, NULL);
	lend(zone, TEST_BLOCKS / 2, false);
	zone_set_watermarks(zone);
}

/* Requests that fall back to a lower zone need its reserve. */
KTEST(reserve_of_a_lower_zone_is_not_reported)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 1));
	struct zone *zone = test_zone(mem, ZONE_NORMAL);

	zone->reserve = 3 * PAGEBLOCK_PAGES;
	expect_left(t, zone, zone->reserve + zone->wmark[WMARK_HIGH]);
	zone_set_watermarks(zone);
}

/* Scattered free pages meet the watermark, but serve no request for a large block. */
KTEST(one_whole_pageblock_of_each_kind_stays_free)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS, 0));
	struct page *kernel, *movable, *used;
	pfn_t blocks[MANY];
	struct zone *zone;
	unsigned nr;

	zone = test_zone(mem, ZONE_NORMAL);
	all_caches_off(t, mem);
	/* Three pageblocks are lent; one of the others is not wholly free. */
	lend(zone, TEST_BLOCKS - 3, true);
	used = NEED(t, take_block(zone, 0, MT_MOVABLE));
	zone->wmark[WMARK_MIN] = zone->wmark[WMARK_LOW] = zone->wmark[WMARK_HIGH] = 0;
	zone->reserve = 0;
	nr = take(mem, blocks, MANY);
	EXPECT_EQ(t, nr, TEST_BLOCKS - 3);
	kernel = mem_alloc_pages(mem, GFP_KERNEL | GFP_NOWAIT, MAX_ORDER);
	EXPECT(t, kernel);
	movable = mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, MAX_ORDER);
	EXPECT(t, movable);
	EXPECT_EQ(t, kernel ? mem_free_pages(mem, kernel, MAX_ORDER) : 0, 0);
	EXPECT_EQ(t, movable ? mem_free_pages(mem, movable, MAX_ORDER) : 0, 0);
	/* A report gets the pageblocks that were kept, when the others are free again. */
	give_reported(mem, blocks, nr, true);
	nr = take(mem, blocks, MANY);
	EXPECT_EQ(t, nr, 2);
	give_reported(mem, blocks, nr, true);
	give_block(zone, used);
	lend(zone, TEST_BLOCKS - 3, false);
	zone_set_watermarks(zone);
}

/* A pageblock is reported again after any use, but not after an isolation: no page was used. */
KTEST(allocation_clears_the_reported_mark)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	unsigned order;
	pfn_t block;

	report_all(mem);
	for (order = 0; order <= MAX_ORDER; order++) {
		struct page *page = mem_alloc_pages(mem, GFP_MOVABLE, order);

		REQUIRE(t, page);
		block = ALIGN_DOWN(page_to_pfn_in(mem, page), PAGEBLOCK_PAGES);
		EXPECT(t, !reported(mem, block));
		EXPECT_EQ(t, mem_free_pages(mem, page, order), 0);
		drain_all_pages(mem, NULL);
		EXPECT(t, !reported(mem, block));
		report_all(mem);
		EXPECT(t, reported(mem, block));
	}
	EXPECT_EQ(t, start_isolate_page_range(mem, block, PAGEBLOCK_PAGES, ISO_PRECISE, NULL), 0);
	EXPECT(t, reported(mem, block));
	expect_sound(t, mem);
	undo_isolate_page_range(mem, block, PAGEBLOCK_PAGES);
	EXPECT(t, reported(mem, block));
	EXPECT_EQ(t, offline_pages(mem, block, PAGEBLOCK_PAGES, NULL, NULL), 0);
	EXPECT(t, !reported(mem, block));
	EXPECT_EQ(t, online_pages(mem, block, PAGEBLOCK_PAGES, NULL), 0);
	EXPECT(t, !reported(mem, block));
}

/* An isolated pageblock must become and stay free, so no report takes its pages. */
KTEST(isolated_pageblocks_are_not_reported)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, TEST_BLOCKS));
	pfn_t block = test_zone(mem, ZONE_MOVABLE)->start_pfn;

	EXPECT_EQ(t, start_isolate_page_range(mem, block, PAGEBLOCK_PAGES, ISO_PRECISE, NULL), 0);
	report_all(mem);
	EXPECT(t, !reported(mem, block));
	undo_isolate_page_range(mem, block, PAGEBLOCK_PAGES);
	report_all(mem);
	EXPECT(t, reported(mem, block));
}

static pfn_t given[MANY];
static unsigned nr_given;

static void give_later(void *arg)
{
	thread_sleep(20000000);
	give_reported(arg, given, nr_given, true);
}

/* An offline of a pageblock that is being reported waits until the report has ended. */
KTEST(offline_waits_for_a_report, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, TEST_BLOCKS / 2, TEST_BLOCKS / 4);
	struct zone *zone;
	struct mm_fail fail;
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mem);
	nr_given = take(mem, given, MANY);
	for (i = 0; i < nr_given && zone_of(mem, given[i])->kind != ZONE_NORMAL;)
		i++;
	REQUIRE(t, i < nr_given);
	zone = zone_of(mem, given[i]);
	give_reported(mem, given, i, true);
	give_reported(mem, given + i + 1, nr_given - i - 1, true);
	given[0] = given[i];
	nr_given = 1;
	EXPECT_EQ(t, offline_query(mem, given[0], PAGEBLOCK_PAGES, &fail), 0);
	ktest_start(1, give_later, mem);
	EXPECT_EQ(t, offline_pages(mem, given[0], PAGEBLOCK_PAGES, NULL, NULL), 0);
	ktest_join(1);
	EXPECT_EQ(t, pageblock_state(pageblock_of(mem, given[0])), PB_OFFLINE);
	EXPECT(t, !reported(mem, given[0]));
	EXPECT_EQ(t, online_pages(mem, given[0], PAGEBLOCK_PAGES, NULL), 0);
	EXPECT(t, zone->nr_isolated == 0);
}

/* Memory that is being reported counts as free for the question if enough would be left. */
KTEST(reported_memory_is_left_when_other_memory_leaves)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, TEST_BLOCKS / 2, TEST_BLOCKS / 2));
	const struct zone *zone = test_zone(mem, ZONE_MOVABLE);
	unsigned long span = zone->end_pfn - zone->start_pfn;
	struct mm_fail fail;

	EXPECT_EQ(t, offline_query(mem, zone->start_pfn, span, &fail), 0);
	nr_given = take(mem, given, MANY);
	EXPECT(t, nr_given > TEST_BLOCKS / 2);
	EXPECT_EQ(t, offline_query(mem, zone->start_pfn, span, &fail), 0);
	give_reported(mem, given, nr_given, true);
	EXPECT_EQ(t, offline_query(mem, zone->start_pfn, span, &fail), 0);
}

/* ---- under load: the host damages the pages that it drops; no user may find damage ---- */

#define HELD      8
#define ROUNDS_NS 200000000

static struct load {
	struct memory *mem;
	u64 rand;
	unsigned damaged;
	unsigned turns; /* atomic */
} load[TEST_MAX_CPUS];
static u32 load_ends; /* atomic */

static void load_write(struct memory *mem, struct page *page, unsigned order, u64 value)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++)
		*(u64 *)page_address_in(mem, page + i) = value + i;
}

static bool load_intact(struct memory *mem, struct page *page, unsigned order, u64 value)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++) {
		if (*(u64 *)page_address_in(mem, page + i) != value + i)
			return false;
	}
	return true;
}

static void load_thread(void *arg)
{
	struct load *l = arg;
	struct page *page[HELD] = {NULL};
	unsigned order[HELD], i;
	u64 value[HELD];

	while (!READ_ONCE(load_ends)) {
		i = (unsigned)(ktest_rand(&l->rand) % HELD);
		WRITE_ONCE(l->turns, l->turns + 1);
		if (page[i]) {
			l->damaged += !load_intact(l->mem, page[i], order[i], value[i]);
			l->damaged += mem_free_pages(l->mem, page[i], order[i]) != 0;
			page[i] = NULL;
			continue;
		}
		order[i] = ktest_rand(&l->rand) % 4 ? 0 : MAX_ORDER;
		page[i] = mem_alloc_pages(l->mem, GFP_MOVABLE | GFP_NOWAIT, order[i]);
		value[i] = ktest_rand(&l->rand);
		if (page[i])
			load_write(l->mem, page[i], order[i], value[i]);
	}
	for (i = 0; i < HELD; i++) {
		if (page[i])
			mem_free_pages(l->mem, page[i], order[i]);
	}
}

/* The host drops the content: any other owner of the pages would find them damaged. */
static void drop(struct memory *mem, const pfn_t *blocks, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		load_write(mem, pfn_to_page_in(mem, blocks[i]), MAX_ORDER, ~0ULL);
}

KTEST(pages_being_reported_are_not_allocated, KTEST_SLOW)
{
	struct memory *mem = ktest_backed_memory(t, 2, PAGEBLOCK_ORDER >= 9 ? 8 : 32);
	unsigned cpus = ktest_cpus(), i, round, dropped = 0;
	pfn_t blocks[MANY];
	u64 end;

	if (!mem)
		return;
	WRITE_ONCE(load_ends, 0);
	for (i = 1; i < cpus; i++) {
		load[i] = (struct load){.mem = mem, .rand = t->seed ^ i};
		ktest_start(i, load_thread, &load[i]);
	}
	for (i = 1; i < cpus; i++)
		EXPECT(t, YIELD_UNTIL(READ_ONCE(load[i].turns)));
	/*
	 * Sometimes the load holds all of the memory, and nothing is dropped. If CPUs take turns,
	 * as under icount, a round may take milliseconds.
	 */
	end = arch_clock_ns() + ROUNDS_NS;
	for (round = 0; !dropped || round < 20 || (round < 200 && arch_clock_ns() < end); round++) {
		unsigned nr = take(mem, blocks, 4);

		drop(mem, blocks, nr);
		give_reported(mem, blocks, nr, round % 8 != 0);
		dropped += nr;
		thread_yield();
	}
	WRITE_ONCE(load_ends, 1);
	for (i = 1; i < cpus; i++) {
		ktest_join(i);
		EXPECT_EQ(t, load[i].damaged, 0);
	}
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}
