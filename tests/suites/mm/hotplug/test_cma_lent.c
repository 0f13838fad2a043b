/* SPDX-License-Identifier: MIT */
/*
 * test_cma_lent.c: when movable requests get lent (CMA) pages: before a zone's other free pages
 * fall below its watermark, since kernel requests can use only those.
 */
#include "mm/vm/lru.h"
#include "mm/reclaim/reclaim.h"
#include "tests/lib/mov_help.h"
#include <quarry/contig.h>
#include <quarry/memory_hotplug.h>

#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 8u : 64u)
#define AREA      (PAGEBLOCK_ORDER >= 9 ? 2u : 16u) /* pageblocks of the area */
#define FIRST     (PAGEBLOCK_ORDER >= 9 ? 3u : 16u) /* the area's first pageblock */

static struct memory *mem;
static struct zone *zone;
static struct cma cma;
static struct pile pile;
static struct page *movable; /* all of zone MOVABLE, which is in use */

static bool begin(struct ktest *t, bool caches)
{
	mem = ktest_memory(t, 0, ZONE_SIZE, 1);
	if (!mem)
		return false;
	zone = zone_in(mem, ZONE_NORMAL);
	movable = take_block(zone_in(mem, ZONE_MOVABLE), MAX_ORDER, MT_MOVABLE);
	pile = (struct pile){NULL, 0};
	if (!caches)
		all_caches_off(t, mem);
	return !cma_create(&cma, "test", mem, BLOCK(FIRST), BLOCK(AREA));
}

static void end(struct ktest *t)
{
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	EXPECT_EQ(t, mem_free_pages(mem, movable, MAX_ORDER), 0);
	drain_all_pages(mem, NULL);
	expect_sound(t, mem);
	EXPECT_EQ(t, cma_destroy(&cma), 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

/* Free pages that kernel requests can use. */
static unsigned long unlent(void)
{
	return zone->nr_free - zone->nr_free_cma;
}

/* The pages that movable requests leave free: they could have used zone MOVABLE. */
static unsigned long mark(void)
{
	return zone->wmark[WMARK_MIN] + zone->reserve;
}

/* Does a movable request with @gfp more flags get a block, and is the block lent? */
static bool lent_block(gfp_t gfp, unsigned order)
{
	return pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT | gfp, order, 1) &&
	    page_lent(zone, pile.top);
}

/* Allocate single pages until the first lent one; then a kernel request still gets a page. */
static void take_until_lent(struct ktest *t)
{
	struct page *page;

	while (!lent_block(0, 0) && pile.nr < zone->managed)
		;
	EXPECT(t, page_lent(zone, pile.top));
	EXPECT(t, unlent() >= mark());
	page = mem_alloc_pages(mem, GFP_ATOMIC, 0);
	EXPECT(t, page);
	EXPECT_EQ(t, page ? mem_free_pages(mem, page, 0) : 0, 0);
	/* A movable request could get this page out of the cache. */
	drain_all_pages(mem, NULL);
	/* All lent pages are given out, and no others. */
	pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	drain_all_pages(mem, NULL);
	EXPECT_EQ(t, zone->nr_free_cma, 0);
	EXPECT(t, unlent() >= mark());
}

KTEST_SUITE(cma_lent, KTEST_QUICK);

KTEST(movable_requests_leave_the_kernel_its_watermark, KTEST_SLOW)
{
	REQUIRE(t, begin(t, false));
	take_until_lent(t);
	EXPECT_EQ(t, unlent(), mark());
	end(t);
}

/* A refill takes a batch, of which no page comes from below the watermark. */
KTEST(refills_leave_the_kernel_its_watermark, KTEST_SLOW)
{
	REQUIRE(t, begin(t, true));
	take_until_lent(t);
	end(t);
}

KTEST(larger_blocks_leave_the_kernel_its_watermark)
{
	static const unsigned orders[] = {3, MAX_ORDER > 3 ? 5 : 2, MAX_ORDER};
	unsigned i;

	REQUIRE(t, begin(t, false));
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, orders[i], ALL_THERE_IS);
		EXPECT(t, unlent() >= mark());
		EXPECT(t, unlent() < mark() + (1UL << orders[i]));
		EXPECT(t, zone->nr_free_cma < PAGEBLOCK_PAGES);
		EXPECT_EQ(t, pile_free(mem, &pile), 0);
	}
	end(t);
}

/* Free every second lent page, so that no two free ones are neighbours. */
static void scatter_lent(struct ktest *t)
{
	struct pile kept = {NULL, 0};
	struct page *page;

	while ((page = pile_pop(&pile))) {
		if (page_lent(zone, page) && page_to_pfn_in(mem, page) % 2)
			EXPECT_EQ(t, mem_free_pages(mem, page, 0), 0);
		else
			pile_push(&kept, page);
	}
	pile = kept;
}

/* Lent pages are free, but apart; those of the watermark lie side by side, but are not given. */
KTEST(larger_block_of_scattered_lent_pages_is_refused, KTEST_SLOW)
{
	REQUIRE(t, begin(t, false));
	take_until_lent(t);
	scatter_lent(t);
	EXPECT(t, zone->nr_free_cma >= BLOCK(AREA) / 2);
	EXPECT(t, !mem_alloc_pages(mem, GFP_MOVABLE | GFP_NOWAIT, 1));
	EXPECT(t, !mem_alloc_pages(mem, GFP_MOVABLE, 1));
	EXPECT_EQ(t, unlent(), mark());
	EXPECT(t, lent_block(0, 0));
	end(t);
}

/* A request that may use a reserve does so when no lent page is left. */
KTEST(lent_pages_go_before_the_reserves, KTEST_SLOW)
{
	REQUIRE(t, begin(t, false));
	take_until_lent(t);
	scatter_lent(t);
	EXPECT(t, lent_block(GFP_RESERVE, 0));
	port_task()->reserve = 1;
	EXPECT(t, lent_block(0, 0));
	EXPECT_EQ(t, unlent(), mark());
	while (lent_block(0, 0))
		;
	port_task()->reserve = 0;
	EXPECT_EQ(t, zone->nr_free_cma, 0);
	EXPECT_EQ(t, unlent(), mark() - 1);
	end(t);
}

/* Pages that must move are movable, so they may borrow. */
KTEST(an_offline_moves_pages_to_lent_ones, KTEST_SLOW)
{
	const pfn_t last = BLOCK(ZONE_SIZE);
	unsigned lent = 0;
	u32 i;

	REQUIRE(t, begin(t, false) && mov_begin(t, mem));
	EXPECT_EQ(t, mem_free_pages(mem, movable, MAX_ORDER), 0);
	mov_fill_range(last, last + BLOCK(1));
	while (unlent() > kept_free(mem))
		pile_push(&pile, take_block(zone, 0, MT_MOVABLE));
	EXPECT_EQ(t, offline_pages(mem, last, BLOCK(1), NULL, NULL), 0);
	for (i = 0; i < mov.nr; i++)
		lent += page_lent(zone, mov.pages[i]);
	/* Smaller pageblocks have less pages than lie between two watermarks. */
	EXPECT(t, lent > 0 || PAGEBLOCK_ORDER < 9);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	mov_end(t);
	EXPECT_EQ(t, online_pages(mem, last, BLOCK(1), NULL), 0);
	movable = take_block(zone_in(mem, ZONE_MOVABLE), MAX_ORDER, MT_MOVABLE);
	end(t);
}

/* A block is lent or it is not: what a movable request may have is the larger of both. */
KTEST_INSIDE(movable_request_may_have_the_largest_lent_block)
{
	static const struct {
		unsigned long free, lent;
		u32 have; /* orders of lent blocks */
		long spare;
	} want[] = {
	    /* The other pages suffice, or give a larger block than the lent ones. */
	    {200, 50, 1u << 5, 50},
	    {150, 10, 1u << 3, 40},
	    /* The other pages are at the watermark, or below it. */
	    {150, 50, 1u << 5 | 1u, 32},
	    {150, 50, 1u, 1},
	    {120, 50, 1u << 5 | 1u, 20},
	    {101, 50, 1u << 5, 1},
	    {100, 50, 1u << 5, 0},
	    {99, 50, 1u << 5, -1},
	    /* All free pages are lent. */
	    {150, 150, 1u << 6, 50},
	    {150, 150, 1u << 5, 32},
	    /* The two counts are from different moments. */
	    {150, 50, 0, 0},
	    {120, 50, 0, 0},
	};
	static struct zone z;
	unsigned i;

	z.wmark[WMARK_MIN] = 100;
	z.wmark[WMARK_HIGH] = 150;
	z.kind = ZONE_MOVABLE;
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		z.nr_free = want[i].free;
		z.nr_free_cma = want[i].lent;
		z.have[MT_CMA] = want[i].have;
		EXPECT_EQ(t, zone_spare(&z, GFP_MOVABLE, false), want[i].spare);
		EXPECT_EQ(t, zone_spare(&z, GFP_KERNEL, false),
		    (long)want[i].free - (long)want[i].lent - 100);
	}
	/* So a run of reclaim goes on if lent pages suffice for a block, but lie apart. */
	z.nr_free = 200;
	z.nr_free_cma = 50;
	z.have[MT_CMA] = 1;
	EXPECT_EQ(t, zone_lacks(&z, request_bit(GFP_MOVABLE, 0), true), 0);
	EXPECT_EQ(t, zone_lacks(&z, request_bit(GFP_MOVABLE, 3), true), 7);
	z.have[MT_CMA] = 1u << 3;
	EXPECT_EQ(t, zone_lacks(&z, request_bit(GFP_MOVABLE, 3), true), 0);
}
