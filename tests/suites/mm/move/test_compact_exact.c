/* SPDX-License-Identifier: MIT */
/*
 * test_compact_exact.c: exactly which pages a compaction scans, moves and captures: which
 * pageblocks it leaves alone, which blocks it captures, and that it does not use a broken block.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/standby_help.h"
#include <quarry/poison.h>

#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 16u : 64u)

static struct zone *the_zone;

/* Movable pages in every second place of the pageblocks @from to @to - 1. */
static void half_fill(unsigned from, unsigned to)
{
	mov_half_fill(the_zone->start_pfn + BLOCK(from), the_zone->start_pfn + BLOCK(to));
}

static struct pageblock *block(unsigned nr)
{
	return pageblock_of(mov.mem, the_zone->start_pfn + BLOCK(nr));
}

KTEST_SUITE(compact_exact, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- pages that stay ---- */

/*
 * Pageblocks that are CMA, isolated, offline or wholly free are left alone; of the two others, one
 * is emptied into the other.
 */
KTEST_COST(only_windows_that_can_be_emptied_are_scanned)
{
	struct compact_stats stats = {0};
	unsigned batches = (PAGEBLOCK_PAGES / 2 + MIGRATE_BATCH - 1) / MIGRATE_BATCH;
	unsigned last = ZONE_SIZE - 1;

	the_zone = NEED(t, mov_only_zone(t, ZONE_NORMAL, ZONE_SIZE));
	/* Pageblock 0 is CMA, 1 isolated, 2 offline, 3 free; 4 will be emptied, the last filled. */
	half_fill(0, 2);
	half_fill(4, 5);
	half_fill(last, ZONE_SIZE);
	set_type(the_zone, the_zone->start_pfn, MT_CMA);
	set_isolated(the_zone, the_zone->start_pfn + BLOCK(1), true);
	EXPECT_EQ(
	    t, offline_pages(mov.mem, the_zone->start_pfn + BLOCK(2), BLOCK(1), NULL, NULL), 0);
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, block(0)->nr_free, PAGEBLOCK_PAGES / 2);
	EXPECT_EQ(t, block(1)->nr_free, PAGEBLOCK_PAGES / 2);
	EXPECT_EQ(t, block(4)->nr_free, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, block(last)->nr_free, 0);
	EXPECT_EQ(t, stats.moved, PAGEBLOCK_PAGES / 2);
	EXPECT_EQ(t, stats.failed, 0);
	EXPECT_EQ(t, stats.windows, 1);
	/* For each batch one scan finds pages, and one captures targets; a last scan finds none. */
	EXPECT_EQ(t, stats.looks, 2 * batches + 1);
	EXPECT_EQ(t, online_pages(mov.mem, the_zone->start_pfn + BLOCK(2), BLOCK(1), NULL), 0);
	set_isolated(the_zone, the_zone->start_pfn + BLOCK(1), false);
	set_type(the_zone, the_zone->start_pfn, MT_MOVABLE);
	mov_end(t);
}

/* Pages move to movable and CMA pageblocks, not to unmovable or isolated ones. */
KTEST(pages_move_to_movable_pageblocks, KTEST_SLOW)
{
	struct compact_stats stats = {0};
	unsigned last = ZONE_SIZE - 1;

	the_zone = NEED(t, mov_only_zone(t, ZONE_NORMAL, ZONE_SIZE));
	half_fill(0, 1);
	half_fill(last - 3, ZONE_SIZE);
	set_type(the_zone, the_zone->start_pfn + BLOCK(last), MT_UNMOVABLE);
	set_isolated(the_zone, the_zone->start_pfn + BLOCK(last - 1), true);
	set_type(the_zone, the_zone->start_pfn + BLOCK(last - 2), MT_CMA);
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, block(last)->nr_free, PAGEBLOCK_PAGES / 2);
	EXPECT_EQ(t, block(last - 1)->nr_free, PAGEBLOCK_PAGES / 2);
	EXPECT_EQ(t, block(last - 2)->nr_free, 0);
	EXPECT_EQ(t, block(last - 3)->nr_free, PAGEBLOCK_PAGES / 2);
	EXPECT_EQ(t, block(0)->nr_free, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, stats.moved, PAGEBLOCK_PAGES / 2);
	set_type(the_zone, the_zone->start_pfn + BLOCK(last), MT_MOVABLE);
	set_isolated(the_zone, the_zone->start_pfn + BLOCK(last - 1), false);
	set_type(the_zone, the_zone->start_pfn + BLOCK(last - 2), MT_MOVABLE);
	mov_end(t);
}

/* ---- captured blocks ---- */

/* Lent pages do not count: kernel requests keep the watermark in other pages. */
KTEST(captures_leave_the_kernel_its_watermark, KTEST_SLOW)
{
	struct compact_stats stats = {0};
	unsigned long lent;

	the_zone = NEED(t, mov_only_zone(t, ZONE_NORMAL, ZONE_SIZE));
	half_fill(0, 1);
	half_fill(ZONE_SIZE - 1, ZONE_SIZE);
	/* A lent pageblock that is wholly free stays whole, so nothing is captured there. */
	set_type(the_zone, the_zone->start_pfn + BLOCK(1), MT_CMA);
	lent = the_zone->nr_free_cma;
	EXPECT_EQ(t, lent, PAGEBLOCK_PAGES);
	the_zone->wmark[WMARK_MIN] = the_zone->nr_free - lent;
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, stats.moved, 0);
	the_zone->wmark[WMARK_MIN]--;
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT(t, stats.moved > 0);
	EXPECT_EQ(t, mov.least - lent, the_zone->wmark[WMARK_MIN]);
	set_type(the_zone, the_zone->start_pfn + BLOCK(1), MT_MOVABLE);
	zone_set_watermarks(the_zone);
	mov_end(t);
}

/* At the watermark there are no targets: compaction ends with the first search for a target. */
KTEST_COST(compaction_at_the_watermark_ends_at_once)
{
	struct compact_stats stats = {0};
	struct trace_hit hit[8];
	unsigned nr, taken = 0;
	struct page *page = NULL;
	u32 i;

	the_zone = NEED(t, mov_only_zone(t, ZONE_MOVABLE, ZONE_SIZE));
	half_fill(0, 1);
	half_fill(ZONE_SIZE - 1, ZONE_SIZE);
	the_zone->wmark[WMARK_MIN] = the_zone->nr_free;
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, stats.looks, 2);
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, stats.failed, 0);
	/*
	 * With one free page above the watermark, pages move again. The trace of a moved page has
	 * the capture of its target.
	 */
	the_zone->wmark[WMARK_MIN]--;
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, mov.least, the_zone->wmark[WMARK_MIN]);
	EXPECT(t, stats.moved > 0);
	for (i = 0; i < PAGEBLOCK_PAGES && !page; i++) {
		if (mov.pages[i] &&
		    page_to_pfn_in(mov.mem, mov.pages[i]) >= the_zone->end_pfn - BLOCK(1))
			page = mov.pages[i];
	}
	REQUIRE(t, page);
	for (nr = trace_find(mov.mem, page_to_pfn_in(mov.mem, page), hit, ARRAY_SIZE(hit));
	     nr-- > 0;)
		taken += hit[nr].rec.kind == TR_take;
	EXPECT_EQ(t, taken, 1);
	zone_set_watermarks(the_zone);
	mov_end(t);
}

/* Wholly free pageblocks are the goal and stay whole; a free block half as large is split. */
KTEST_CONTRACT(free_blocks_as_large_as_wanted_stay_whole)
{
	struct compact_stats stats = {0};
	unsigned last = ZONE_SIZE - 1;
	u32 first;

	the_zone = NEED(t, mov_only_zone(t, ZONE_MOVABLE, ZONE_SIZE));
	half_fill(0, 1);
	first = mov.nr;
	half_fill(last - 1, last);
	while (mov.nr > first + 1)
		mov_free(--mov.nr);
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, block(last)->nr_free, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, block(last - 1)->nr_free, PAGEBLOCK_PAGES / 2 - 1);
	EXPECT_EQ(t, block(0)->nr_free, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, stats.moved, PAGEBLOCK_PAGES / 2);
	EXPECT_EQ(t, stats.failed, 0);
	mov_end(t);
}

/* Refuse all moves in the first zone, MOVABLE, so that another try could continue there. */
static int refuse_in_movable(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	if (zone_of(mem, page_to_pfn_in(mem, src)) == zone_in(mem, ZONE_MOVABLE))
		return -EBUSY;
	return mov_migrate(owner, mem, dst, src);
}

KTEST(free_block_of_any_zone_ends_compaction, KTEST_SLOW)
{
	static const struct movable_ops ops = {
	    .isolate = mov_isolate, .migrate = refuse_in_movable, .putback = mov_putback};
	struct memory *mem = ktest_memory(t, 0, ZONE_SIZE, ZONE_SIZE);

	REQUIRE(t, mov_begin(t, mem));
	mov.owner.ops = &ops;
	all_caches_off(t, mem);
	zone_in(mem, ZONE_NORMAL)->reserve = 0;
	mov_fill(ALL_THERE_IS);
	mov_thin_out();
	EXPECT_EQ(t, compact_zonelist(&mem->nodes[0], GFP_MOVABLE, 1), 0);
	EXPECT(t, mov.moved > 0);
	EXPECT(t, has_free(zone_in(mem, ZONE_NORMAL), 1, MT_MOVABLE));
	EXPECT(t, !has_free(zone_in(mem, ZONE_MOVABLE), 1, MT_MOVABLE));
	zone_set_watermarks(zone_in(mem, ZONE_NORMAL));
	mov_end(t);
}

/* Every third block of four pages is free: the others move to free blocks of the same size. */
KTEST(blocks_move_to_free_blocks_of_their_order, KTEST_SLOW)
{
	struct compact_stats stats = {0};
	struct page *page;
	unsigned emptied = 0, i;

	the_zone = NEED(t, mov_only_zone(t, ZONE_MOVABLE, ZONE_SIZE));
	while ((page = take_block(the_zone, 2, MT_MOVABLE))) {
		make_movable(mov.mem, page, &mov.owner, mov.nr);
		mov.pages[mov.nr++] = page;
	}
	for (i = 0; i < mov.nr; i++) {
		if (page_to_pfn_in(mov.mem, mov.pages[i]) / 4 % 3 == 0)
			mov_free(i);
	}
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT(t, stats.moved > 0 && stats.moved == mov.moved);
	EXPECT_EQ(t, mov.downwards, 0);
	for (i = 0; i < mov.nr; i++) {
		if (mov.pages[i])
			EXPECT_EQ(t, page_word(mov.pages[i]), PAGE_WORD(1, PG_MOVABLE_OPS, 2));
	}
	for (i = 0; i < ZONE_SIZE; i++)
		emptied += block(i)->nr_free == PAGEBLOCK_PAGES;
	EXPECT_EQ(t, emptied, the_zone->nr_free / PAGEBLOCK_PAGES);
	expect_sound(t, mov.mem);
	mov_end(t);
}

/* A block of the wanted size is not moved: its target would itself be a free block of that size. */
KTEST(blocks_as_large_as_wanted_are_not_moved, KTEST_SLOW)
{
	struct compact_stats stats = {0};
	struct pile singles = {NULL, 0};
	struct page *page;
	u32 i;

	the_zone = NEED(t, mov_only_zone(t, ZONE_MOVABLE, ZONE_SIZE));
	while ((page = take_block(the_zone, 2, MT_MOVABLE))) {
		make_movable(mov.mem, page, &mov.owner, mov.nr);
		mov.pages[mov.nr++] = page;
	}
	/* Cut every fourth block into single pages: every second page is free, the others used. */
	for (i = 0; i < mov.nr; i += 4)
		mov_free(i);
	while ((page = take_block(the_zone, 0, MT_MOVABLE)))
		pile_push(&singles, page);
	while ((page = pile_pop(&singles))) {
		if (page_to_pfn_in(mov.mem, page) % 2)
			pile_push(&mov.rest, page);
		else
			EXPECT_EQ(t, mem_free_pages(mov.mem, page, 0), 0);
	}
	EXPECT_EQ(t, compact_zone(the_zone, GFP_MOVABLE, 2, &stats), -ENOMEM);
	EXPECT(t, stats.looks > 0);
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, stats.failed, 0);
	mov_end(t);
}

/* Free pages only in the lowest @low pageblocks, half of each; the others are full.  MOVABLE. */
static bool fill_but_low(struct ktest *t, unsigned low)
{
	the_zone = mov_only_zone(t, ZONE_MOVABLE, ZONE_SIZE);
	if (!the_zone)
		return false;
	mov_fill_range(the_zone->start_pfn + BLOCK(low), the_zone->end_pfn);
	half_fill(0, low);
	return true;
}

/* No window with a page to move lies below the free pages: for a request pages move down. */
KTEST(free_pages_in_low_pageblocks_are_used, KTEST_SLOW)
{
	struct compact_stats stats = {0};
	const unsigned low = ZONE_SIZE / 2;
	unsigned i;

	REQUIRE(t, fill_but_low(t, low));
	for (i = 0; i < low; i++)
		EXPECT_EQ(t, pin_page(pfn_to_page_in(mov.mem, the_zone->start_pfn + BLOCK(i))), 0);
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, compact_zone(the_zone, GFP_MOVABLE, MAX_ORDER, &stats), 0);
	EXPECT_EQ(t, stats.moved, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, block(low)->nr_free, PAGEBLOCK_PAGES);
	for (i = 0; i < low; i++)
		mem_unpin_page(mov.mem, pfn_to_page_in(mov.mem, the_zone->start_pfn + BLOCK(i)));
	expect_sound(t, mov.mem);
	mov_end(t);
}

/* Pages of a request are worth more than the type of pageblocks: the zone has no movable ones. */
KTEST(free_pages_in_pageblocks_of_other_types_are_used, KTEST_SLOW)
{
	struct compact_stats stats = {0};
	unsigned i;

	the_zone = NEED(t, mov_only_zone(t, ZONE_NORMAL, ZONE_SIZE));
	half_fill(0, ZONE_SIZE);
	for (i = 0; i < ZONE_SIZE; i++)
		set_type(the_zone, the_zone->start_pfn + BLOCK(i), MT_UNMOVABLE);
	EXPECT_EQ(t, compact_memory(mov.mem, &stats), 0);
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, compact_zone(the_zone, GFP_KERNEL, MAX_ORDER, &stats), 0);
	EXPECT_EQ(t, stats.moved, PAGEBLOCK_PAGES / 2);
	for (i = 0; i < ZONE_SIZE; i++)
		set_type(the_zone, the_zone->start_pfn + BLOCK(i), MT_MOVABLE);
	expect_sound(t, mov.mem);
	mov_end(t);
}

/* Free pages and pages to move share one pageblock: those of the window itself are no targets. */
KTEST(free_pages_of_the_same_pageblock_are_used, KTEST_SLOW)
{
	struct compact_stats stats;
	unsigned order;

	REQUIRE(t, fill_but_low(t, 1));
	/* Half of a small pageblock is less than the watermark. */
	for (order = 1; order <= 6 && PAGEBLOCK_ORDER >= 9; order++) {
		stats = (struct compact_stats){0};
		EXPECT_EQ(t, compact_zone(the_zone, GFP_MOVABLE, order, &stats), 0);
		EXPECT(t, stats.moved > 0 && stats.moved < 1UL << order);
		EXPECT(t, has_free(the_zone, order, MT_MOVABLE));
	}
	expect_sound(t, mov.mem);
	mov_end(t);
}

static struct page *broken;
static unsigned reused;

/* The first target breaks while the page is copied to it. */
static int break_the_first(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	if (!broken) {
		broken = dst;
		if (mem_memory_failure(mem, page_to_pfn_in(mem, dst), 0, NULL) == 0)
			panic("test: it was nobody's");
		return -EBUSY;
	}
	reused += dst == broken;
	return mov_migrate(owner, mem, dst, src);
}

KTEST_CONTRACT(a_captured_page_that_breaks_is_not_used_again, KTEST_SLOW)
{
	static const struct movable_ops ops = {
	    .isolate = mov_isolate, .migrate = break_the_first, .putback = mov_putback};

	the_zone = NEED(t, mov_only_zone(t, ZONE_MOVABLE, ZONE_SIZE));
	mov.owner.ops = &ops;
	broken = NULL;
	reused = 0;
	half_fill(0, 1);
	half_fill(ZONE_SIZE - 1, ZONE_SIZE);
	EXPECT_EQ(t, compact_memory(mov.mem, NULL), 0);
	REQUIRE(t, broken);
	EXPECT(t, mov.moved > 0);
	EXPECT_EQ(t, reused, 0);
	EXPECT_EQ(t, mem_poisoned(mov.mem).retired, 1);
	EXPECT_EQ(t, mem_unpoison_page(mov.mem, page_to_pfn_in(mov.mem, broken)), 0);
	mov_end(t);
}

/* ---- a zone wholly on standby ---- */

/* Zone MOVABLE is wholly on standby, from page 0 on; zone NORMAL above it is wholly free. */
static struct memory *one_on_standby(struct ktest *t)
{
	struct memory_config cfg;
	struct memory *mem;
	int err;

	if (!bare_config(t, &cfg, 0, TOTAL + ONLINE))
		return NULL;
	cfg.standby_step = BLOCK(STEP);
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	err = mem ? memory_init(mem, &cfg) : -ENOMEM;
	err = err ? err : memory_add_zone(mem, 0, ZONE_MOVABLE, 0, BLOCK(TOTAL));
	err = err ? err : memory_add_zone(mem, 0, ZONE_NORMAL, BLOCK(TOTAL), BLOCK(TOTAL + ONLINE));
	if (!err) {
		memory_add_standby(mem, 0, BLOCK(TOTAL));
		memory_add_ram(mem, BLOCK(TOTAL), BLOCK(TOTAL + ONLINE));
		memory_free_range(mem, BLOCK(TOTAL), BLOCK(TOTAL + ONLINE));
	}
	return begin_memory(t, mem, err);
}

KTEST_COST(standby_zone_is_not_compacted)
{
	struct memory *mem = NEED(t, one_on_standby(t));
	struct compact_stats stats = {.looks = 7};

	EXPECT_EQ(t, zone_standby(zone_in(mem, ZONE_MOVABLE)), BLOCK(TOTAL));
	EXPECT_EQ(t, compact_memory(mem, &stats), 0);
	EXPECT_EQ(t, stats.looks, 0);
	EXPECT_EQ(t, stats.moved, 0);
	drop_memory(t, mem);
}
