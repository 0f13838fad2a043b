/* SPDX-License-Identifier: MIT */
/*
 * test_churn.c: many allocations and frees leave whole pageblocks free, because a request is served
 * from the pageblock that is free in the smallest pieces, so other pageblocks become free.
 */
#include "tests/lib/mm_test.h"

#define BLOCKS 48u
#define ROUNDS 100

static struct page *held[BLOCKS * PAGEBLOCK_PAGES + 1];

static void give_one(struct zone *zone, unsigned at, unsigned *nr)
{
	give_block(zone, held[at]);
	held[at] = held[--*nr];
}

/* If @mixed, order 0 to 3, at 70, 15, 10 and 5 per cent; else order 0. */
static unsigned some_order(u64 *rand, bool mixed)
{
	unsigned part = mixed ? (unsigned)(ktest_rand(rand) % 100) : 0;

	return part < 70 ? 0 : part < 85 ? 1 : part < 95 ? 2 : 3;
}

/*
 * Fill the zone, free half of it at random, and then many times free a tenth of the held pages and
 * allocate as many.  Returns the pageblocks that are wholly free at the end; @possible: the number
 * that the free pages would fill.
 */
static unsigned whole_after_churn(struct zone *zone, bool mixed, unsigned *possible)
{
	unsigned nr = 0, left, round, i;
	u64 rand = 14;

	while ((held[nr] = take_block(zone, some_order(&rand, mixed), MT_MOVABLE)))
		nr++;
	for (left = nr / 2; nr > left;)
		give_one(zone, (unsigned)(ktest_rand(&rand) % nr), &nr);
	for (round = 0; round < ROUNDS; round++) {
		for (i = nr / 10; i > 0; i--)
			give_one(zone, (unsigned)(ktest_rand(&rand) % nr), &nr);
		for (i = nr / 9; i > 0; i--) {
			held[nr] = take_block(zone, some_order(&rand, mixed), MT_MOVABLE);
			if (held[nr])
				nr++;
		}
	}
	*possible = (unsigned)(zone->nr_free / PAGEBLOCK_PAGES);
	round = zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE);
	while (nr > 0)
		give_one(zone, nr - 1, &nr);
	return round;
}

KTEST_SUITE(churn, KTEST_QUICK);

/*
 * Nine of ten pageblocks are wholly free. With last-in, first-out lists of free blocks none would
 * be.
 */
KTEST_COST(whole_pageblocks_come_back)
{
	unsigned whole, possible, mixed;
	struct zone *zone;

	if (PAGEBLOCK_ORDER != 9) {
		ktest_skip(t, "the share is that of pageblocks of 512 pages");
		return;
	}
	zone = NEED(t, normal_zone(t, BLOCKS));
	for (mixed = 0; mixed < 2; mixed++) {
		whole = whole_after_churn(zone, mixed, &possible);
		EXPECT(t, whole * 10 >= possible * 9);
		EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), BLOCKS);
	}
}
