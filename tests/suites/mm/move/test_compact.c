/* SPDX-License-Identifier: MIT */
/*
 * test_compact.c: compaction makes large blocks in memory full of small movable pages; which pages
 * stay, and which zones are compacted. How much it moves: test_compact_bound.c; mapped pages:
 * test_compact_vm.c.
 */
#include "mm/reclaim/reclaim.h"
#include "tests/lib/mov_help.h"
#include <quarry/poison.h>
#include <quarry/string.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define MAX_CPUS 8

/* The number of blocks of the largest order that the free pages above the watermark can form. */
static unsigned long blocks_possible(const struct zone *zone)
{
	return (zone->nr_free - zone->wmark[WMARK_MIN]) / PAGEBLOCK_PAGES;
}

/* A fragmented zone of @kind, in a memory without others; NULL: the test has failed. */
static struct zone *fragmented(struct ktest *t, enum zone_kind kind)
{
	unsigned normal = kind == ZONE_NORMAL ? MOV_ZONE : 0;

	return mov_begin(t, ktest_memory(t, 0, normal, MOV_ZONE - normal))
	    ? mov_fragmented(t, mov.mem, kind)
	    : NULL;
}

/* ---- large blocks ---- */

/*
 * Allocate every block of the largest order that the free pages can form. Only compaction can form
 * these blocks.
 */
static void take_largest_blocks(struct ktest *t, enum zone_kind kind, gfp_t gfp)
{
	struct zone *zone = NEED(t, fragmented(t, kind));
	unsigned long possible = blocks_possible(zone);
	struct memory *mem = zone->mem;
	struct pile pile = {NULL, 0};

	EXPECT(t, possible >= 2);
	EXPECT_EQ(t, pile_alloc(mem, &pile, gfp | GFP_NOWAIT, MAX_ORDER, 1), 0);
	EXPECT_EQ(t, pile_alloc(mem, &pile, gfp, MAX_ORDER, possible), possible);
	EXPECT(t, mm_event_sum(mem, EV_COMPACT_OK) > 0);
	EXPECT_EQ(t, mm_event_sum(mem, EV_COMPACT_FAIL), 0);
	EXPECT(t, mov.least >= zone->wmark[WMARK_MIN]);
	expect_sound(t, mem);
	/* The next allocation would go below the watermark: nothing is moved for it. */
	mov.calls = 0;
	EXPECT_EQ(t, pile_alloc(mem, &pile, gfp, MAX_ORDER, 1), 0);
	EXPECT_EQ(t, mov.calls, 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	mov_end_upwards(t);
}

KTEST_SUITE(compact, KTEST_QUICK);

KTEST(movable_requests_get_every_largest_block, KTEST_SLOW)
{
	take_largest_blocks(t, ZONE_MOVABLE, GFP_MOVABLE);
}

/* Movable pages have filled the zone, so all its pageblocks are movable. */
KTEST(unmovable_requests_get_every_largest_block, KTEST_SLOW)
{
	take_largest_blocks(t, ZONE_NORMAL, GFP_KERNEL);
}

KTEST_COST(small_orders_need_small_windows, KTEST_SLOW)
{
	struct zone *zone = NEED(t, fragmented(t, ZONE_MOVABLE));
	struct compact_stats stats = {0};
	unsigned order;

	for (order = 1; order < MAX_ORDER; order++) {
		stats = (struct compact_stats){0};
		EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, order, &stats), 0);
		EXPECT_EQ(t, stats.windows, stats.moved > 0);
		EXPECT(t, stats.moved <= 1UL << order);
		/* Now a block of this order is free, so nothing is moved. */
		stats = (struct compact_stats){0};
		EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, order, &stats), 0);
		EXPECT_EQ(t, stats.moved, 0);
	}
	mov_end_upwards(t);
}

KTEST(all_memory_is_gathered_on_request)
{
	struct memory *mem = ktest_memory(t, 0, MOV_ZONE / 2, MOV_ZONE / 2);
	struct compact_stats stats = {.moved = 99};
	unsigned long want = 0;
	unsigned kind;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(ALL_THERE_IS);
	mov_thin_out();
	for (kind = ZONE_NORMAL; kind <= ZONE_MOVABLE; kind++)
		want += zone_in(mem, (enum zone_kind)kind)->nr_free / PAGEBLOCK_PAGES;
	EXPECT_EQ(t, compact_memory(mem, &stats), 0);
	empty_caches(mem);
	EXPECT_EQ(t,
	    free_blocks(zone_in(mem, ZONE_NORMAL)) + free_blocks(zone_in(mem, ZONE_MOVABLE)), want);
	EXPECT_EQ(t, stats.failed, 0);
	EXPECT_EQ(t, stats.moved, mm_event_sum(mem, EV_COMPACT_MOVED));
	EXPECT_EQ(t, stats.moved, mm_event_sum(mem, EV_MIGRATE_OK));
	expect_sound(t, mem);
	/* A second compaction has nothing to gain. */
	EXPECT_EQ(t, compact_memory(mem, &stats), 0);
	EXPECT_EQ(t, stats.moved, 0);
	mov_end_upwards(t);
}

/* ---- pages that stay ---- */

/* Expect compaction of the zone to fail, to move no page, and to keep no captured page. */
static void expect_vain(struct ktest *t, struct zone *zone)
{
	struct compact_stats stats = {0};
	unsigned long free = memory_free_pages(zone->mem);

	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats), -ENOMEM);
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, stats.failed, 0);
	EXPECT_EQ(t, memory_free_pages(zone->mem), free);
	expect_sound(t, zone->mem);
}

/* The last movable page of the pageblock, which has at least one. */
static struct page *one_of(struct memory *mem, pfn_t block)
{
	pfn_t pfn = block + PAGEBLOCK_PAGES - 1;

	while (pfn > block && word_state(page_word(pfn_to_page_in(mem, pfn))) != PG_MOVABLE_OPS)
		pfn--;
	return pfn_to_page_in(mem, pfn);
}

KTEST(pinned_page_skips_its_window, KTEST_SLOW)
{
	struct zone *zone = NEED(t, fragmented(t, ZONE_MOVABLE));
	struct memory *mem = zone->mem;
	pfn_t pfn;

	for (pfn = zone->start_pfn; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES)
		EXPECT_EQ(t, pin_page(one_of(mem, pfn)), 0);
	expect_vain(t, zone);
	for (pfn = zone->start_pfn; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES)
		mem_unpin_page(mem, one_of(mem, pfn));
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, NULL), 0);
	mov_end_upwards(t);
}

KTEST(broken_page_skips_its_window, KTEST_SLOW)
{
	struct zone *zone = NEED(t, fragmented(t, ZONE_MOVABLE));
	struct memory *mem = zone->mem;
	pfn_t pfn;

	for (pfn = zone->start_pfn; pfn < zone->end_pfn; pfn += PAGEBLOCK_PAGES)
		EXPECT_EQ(t,
		    mem_memory_failure(mem, page_to_pfn_in(mem, one_of(mem, pfn)), 0, NULL),
		    -EBUSY);
	expect_vain(t, zone);
	while (mov.nr > 0)
		mov_free(--mov.nr);
	EXPECT_EQ(t, pile_free(mem, &mov.rest), 0);
	for (pfn = 0; (pfn = mem_poisoned_next(mem, pfn)) != PFN_NONE; pfn++)
		EXPECT_EQ(t, mem_unpoison_page(mem, pfn), 0);
	mov_end_upwards(t);
}

/* Allocate one page of each pageblock that has free pages, as an unmovable page. */
static void take_one_of_each(struct memory *mem, struct zone *zone, struct pile *kept)
{
	bool has[MOV_ZONE] = {false};
	struct pile all = {NULL, 0};
	struct page *page;

	while ((page = take_block(zone, 0, MT_MOVABLE)))
		pile_push(&all, page);
	while ((page = pile_pop(&all))) {
		pfn_t block = (page_to_pfn_in(mem, page) - mem->start_pfn) >> PAGEBLOCK_ORDER;

		if (has[block])
			mem_free_pages(mem, page, 0);
		else
			pile_push(kept, page);
		has[block] = true;
	}
	empty_caches(mem);
}

KTEST(unmovable_page_skips_its_window, KTEST_SLOW)
{
	struct zone *zone = NEED(t, fragmented(t, ZONE_NORMAL));
	struct memory *mem = zone->mem;
	struct pile kept = {NULL, 0};

	take_one_of_each(mem, zone, &kept);
	expect_vain(t, zone);
	EXPECT_EQ(t, pile_free(mem, &kept), 0);
	empty_caches(mem);
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, NULL), 0);
	mov_end_upwards(t);
}

KTEST(isolated_pageblocks_are_left_alone, KTEST_SLOW)
{
	struct zone *zone = NEED(t, fragmented(t, ZONE_MOVABLE));
	struct memory *mem = zone->mem;
	struct pageblock low, high;
	pfn_t last = zone->end_pfn - PAGEBLOCK_PAGES;

	set_isolated(zone, zone->start_pfn, true);
	set_isolated(zone, last, true);
	low = *pageblock_of(mem, zone->start_pfn);
	high = *pageblock_of(mem, last);
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, NULL), 0);
	EXPECT_EQ(t, memcmp(&low, pageblock_of(mem, zone->start_pfn), sizeof(low)), 0);
	EXPECT_EQ(t, memcmp(&high, pageblock_of(mem, last), sizeof(high)), 0);
	EXPECT(t, free_blocks(zone) > 0);
	set_isolated(zone, zone->start_pfn, false);
	set_isolated(zone, last, false);
	mov_end_upwards(t);
}

/* Emptying a CMA pageblock is useless: movable requests would only borrow it again. */
KTEST(cma_pageblocks_are_not_emptied, KTEST_SLOW)
{
	struct zone *zone = NEED(t, fragmented(t, ZONE_NORMAL));
	struct memory *mem = zone->mem;
	struct pageblock low;

	set_type(zone, zone->start_pfn, MT_CMA);
	low = *pageblock_of(mem, zone->start_pfn);
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, NULL), 0);
	EXPECT_EQ(t, memcmp(&low, pageblock_of(mem, zone->start_pfn), sizeof(low)), 0);
	set_type(zone, zone->start_pfn, MT_MOVABLE);
	mov_end_upwards(t);
}

/* The zone is full of blocks of two pages, and every third block is free. */
KTEST(blocks_of_two_pages_are_moved_too, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, 0, MOV_ZONE);
	struct compact_stats stats = {0};
	struct zone *zone;
	struct page *page;
	unsigned long free;
	u32 i;

	REQUIRE(t, mov_begin(t, mem));
	zone = zone_in(mem, ZONE_MOVABLE);
	all_caches_off(t, mem);
	while ((page = take_block(zone, 1, MT_MOVABLE))) {
		make_movable(mem, page, &mov.owner, mov.nr);
		mov.pages[mov.nr++] = page;
	}
	for (i = 0; i < mov.nr; i++) {
		if (page_to_pfn_in(mem, mov.pages[i]) / 2 % 3 == 0)
			mov_free(i);
	}
	EXPECT_EQ(t, free_blocks(zone), 0);
	free = zone->nr_free;
	/* A block of order 1 is free already, so nothing is scanned. */
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, 1, &stats), 0);
	EXPECT_EQ(t, stats.looks, 0);
	/* Pages captured for a refused migration are freed. */
	mov.refuse = 1;
	EXPECT(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats) != 0);
	EXPECT(t, stats.failed > 0 && stats.failed == mov.calls);
	EXPECT_EQ(t, zone->nr_free, free);
	mov.refuse = 0;
	stats.failed = 0;
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats), 0);
	EXPECT_EQ(t, stats.failed, 0);
	EXPECT(t, stats.moved > 0 && stats.moved == mov.moved);
	EXPECT(t, free_blocks(zone) > 0);
	EXPECT_EQ(t, zone->nr_free, free);
	expect_sound(t, mem);
	mov_end_upwards(t);
}

/* ---- requests ---- */

/* Each zone that the request may use is tried, the best one first, until one has a block. */
KTEST(zones_of_a_request_are_compacted_in_turn, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, MOV_ZONE / 2, MOV_ZONE / 2);
	struct zone *normal, *movable;
	const struct node *node;

	REQUIRE(t, mov_begin(t, mem));
	node = &mem->nodes[0];
	normal = zone_in(mem, ZONE_NORMAL);
	movable = zone_in(mem, ZONE_MOVABLE);
	normal->reserve = 0;
	mov_fill(ALL_THERE_IS);
	mov_thin_out();
	EXPECT_EQ(t, free_blocks(normal) + free_blocks(movable), 0);
	/*
	 * Each move is refused. In each zone with enough free pages compaction reaches its bound of
	 * moves, so another try could continue there.
	 */
	mov.refuse = 1;
	if (PAGEBLOCK_ORDER >= 9) {
		EXPECT_EQ(t, compact_zonelist(node, GFP_MOVABLE, 1), -EAGAIN);
		EXPECT(t, mov.calls >= 2 * 256 && mov.calls <= 2 * 257);
		mov.calls = 0;
		EXPECT_EQ(t, compact_zonelist(node, GFP_KERNEL, 1), -EAGAIN);
		EXPECT(t, mov.calls >= 256 && mov.calls <= 257);
		/*
		 * If compaction of one zone could continue, another try is worthwhile, whatever the
		 * other zones return.
		 */
		mov.calls = 0;
		normal->reserve = BLOCK(MOV_ZONE);
		EXPECT_EQ(t, compact_zonelist(node, GFP_MOVABLE, 1), -EAGAIN);
		EXPECT(t, mov.calls >= 256 && mov.calls <= 257);
		normal->reserve = 0;
	}
	/* The first zone gets a block, and the second one is left alone. */
	mov.refuse = 0;
	EXPECT_EQ(t, compact_zonelist(node, GFP_MOVABLE, MAX_ORDER - 1), 0);
	EXPECT(t, has_free(movable, MAX_ORDER - 1, MT_MOVABLE));
	EXPECT(t, !has_free(normal, MAX_ORDER - 1, MT_MOVABLE));
	EXPECT_EQ(t, compact_zonelist(node, GFP_KERNEL, MAX_ORDER - 1), 0);
	EXPECT(t, has_free(normal, MAX_ORDER - 1, MT_MOVABLE));
	EXPECT_EQ(t, compact_zonelist(node, GFP_KERNEL, 0), -EINVAL);
	zone_set_watermarks(normal);
	mov_end_upwards(t);
}

KTEST(bad_arguments_are_refused)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, MOV_ZONE));
	irqflags_t flags;
	int err;
	struct zone *zone = zone_in(mem, ZONE_MOVABLE);

	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, 0, NULL), -EINVAL);
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER + 1, NULL), -EINVAL);
	EXPECT_EQ(t, compact_zone(zone_in(mem, ZONE_NORMAL), GFP_KERNEL, 1, NULL), -ENOMEM);
	flags = arch_irq_save();
	err = compact_zone(zone, GFP_MOVABLE, 1, NULL);
	err = err == -EDEADLK ? compact_memory(mem, NULL) : err;
	arch_irq_restore(flags);
	EXPECT_EQ(t, err, -EDEADLK);
}

/* ---- the thread that compacts ---- */

struct asker {
	struct memory *mem;
	struct page *page;
};

static void allocate_largest(void *arg)
{
	struct asker *a = arg;

	a->page = mem_alloc_pages(a->mem, GFP_MOVABLE, MAX_ORDER);
}

KTEST_COST(many_waiters_share_one_compaction_thread, KTEST_SLOW)
{
	struct zone *zone = NEED(t, fragmented(t, ZONE_MOVABLE));
	struct memory *mem = zone->mem;
	struct asker ask[MAX_CPUS] = {{.mem = NULL}};
	unsigned cpu, want, got = 0;

	want = (unsigned)MIN(blocks_possible(zone), (unsigned long)ktest_cpus());
	for (cpu = 0; cpu < want; cpu++) {
		ask[cpu].mem = mem;
		ktest_start(cpu, allocate_largest, &ask[cpu]);
	}
	for (cpu = 0; cpu < want; cpu++) {
		ktest_join(cpu);
		if (!ask[cpu].page)
			continue;
		got++;
		EXPECT_EQ(t, mem_free_pages(mem, ask[cpu].page, MAX_ORDER), 0);
	}
	EXPECT_EQ(t, got, want);
	EXPECT(t, mm_event_sum(mem, EV_ALLOC_COMPACT_WAIT) > 0);
	/* The thread may still compact for a request that another free block has served. */
	reclaim_stop(mem);
	mov_end_upwards(t);
}
