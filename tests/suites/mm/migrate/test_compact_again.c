/* SPDX-License-Identifier: MIT */
/*
 * test_compact_again.c: compactions of one zone, one after the other: each goes on where the last
 * one stopped.
 */
#include "tests/lib/mov_help.h"

static pfn_t stubborn_end; /* pages below this pfn refuse to move */
static unsigned refusals;

static int refuses_below(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	if (page_to_pfn_in(mem, src) >= stubborn_end)
		return mov_migrate(owner, mem, dst, src);
	refusals++;
	return -EBUSY;
}

/* A zone whose first pageblock refuses to move; NULL: the test has failed. */
static struct zone *stubborn_zone(struct ktest *t, unsigned blocks)
{
	static const struct movable_ops ops = {
	    .isolate = mov_isolate, .migrate = refuses_below, .putback = mov_putback};
	struct memory *mem = ktest_memory(t, 0, 0, blocks);
	struct zone *zone;

	if (!mem || !mov_begin(t, mem))
		return NULL;
	mov.owner.ops = &ops;
	zone = mov_fragmented(t, mem, ZONE_MOVABLE);
	stubborn_end = zone->start_pfn + PAGEBLOCK_PAGES;
	refusals = 0;
	return zone;
}

static void expect_block(struct ktest *t, unsigned order)
{
	struct zone *zone = NEED(t, stubborn_zone(t, MOV_ZONE));
	struct page *page = mem_alloc_pages(zone->mem, GFP_MOVABLE, order);

	EXPECT(t, page);
	if (page)
		EXPECT_EQ(t, mem_free_pages(zone->mem, page, order), 0);
	/* Each page is tried at most once, since no compaction goes over the same pages again. */
	EXPECT(t, refusals <= PAGEBLOCK_PAGES);
	mov_end(t);
}

static void pairs_are_made_past_pages_that_stay(struct ktest *t)
{
	expect_block(t, 1);
}

static void blocks_are_made_past_pages_that_stay(struct ktest *t)
{
	expect_block(t, MIN_CONST(3, MAX_ORDER - 1));
}

/* Each compaction makes a block, which is taken: pageblocks at both ends of the zone fill up. */
static void scans_do_not_grow_in_a_series(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, 2 * MOV_ZONE);
	const unsigned order = MIN_CONST(3, MAX_ORDER - 1);
	unsigned long first = 0, most = 0, n;
	struct pile pile = {NULL, 0};
	struct zone *zone;

	REQUIRE(t, mov_begin(t, mem));
	zone = mov_fragmented(t, mem, ZONE_MOVABLE);
	for (n = 0; n < 100; n++) {
		struct compact_stats stats = {0};

		if (compact_zone(zone, GFP_MOVABLE, order, &stats) ||
		    !pile_alloc(mem, &pile, GFP_MOVABLE | GFP_NOWAIT, order, 1))
			break;
		first = first ? first : stats.looks;
		most = MAX(most, stats.looks);
	}
	EXPECT(t, n > 20);
	EXPECT(t, most <= 4 * first + 16);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	mov_end(t);
}

/* The scanners meet, and the memory below the place where they began is compacted after all. */
static void a_compaction_goes_on_from_the_ends(struct ktest *t)
{
	struct zone *zone = NEED(t, stubborn_zone(t, MOV_ZONE));
	struct compact_stats stats = {0};
	pfn_t end = zone->end_pfn;

	stubborn_end = end;
	while (compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats) == -EAGAIN)
		;
	EXPECT_EQ(t, stats.moved, 0);
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, 1, &stats), -EAGAIN);
	EXPECT(t, zone->compact_window > zone->start_pfn);
	/* All pages refuse but those that the last compaction has passed. */
	stubborn_end = zone->start_pfn;
	zone->compact_window = zone->compact_free = zone->start_pfn + PAGEBLOCK_PAGES;
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats), 0);
	mov_end(t);
}

KTEST_SUITE(compact_again, KTEST_QUICK, KTEST(pairs_are_made_past_pages_that_stay, KTEST_SLOW),
    KTEST(blocks_are_made_past_pages_that_stay, KTEST_SLOW),
    KTEST(scans_do_not_grow_in_a_series, KTEST_SLOW),
    KTEST(a_compaction_goes_on_from_the_ends, KTEST_SLOW));
