/* SPDX-License-Identifier: MIT */
/*
 * test_buddy_batch.c: blocks taken from the buddy and given back many at a time: their pageblock
 * and order, and a final state that equals that of single blocks.
 */
#include "mm/core/free_map.h"
#include "tests/lib/mm_test.h"
#include <quarry/trace_ring.h>

#define BLOCKS      4
#define ALL         ((unsigned)PAGEBLOCK_PAGES)
#define WORD(order) PAGE_WORD(1, PG_ALLOC, order)

static unsigned take(struct zone *zone, unsigned order, struct page **out, unsigned max)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	unsigned got = buddy_take_batch(zone, order, MT_MOVABLE, WORD(order), out, max);

	zone_unlock_irqrestore(zone, flags);
	return got;
}

static void give(struct zone *zone, struct page **pages, unsigned nr, unsigned order)
{
	irqflags_t flags = zone_lock_irqsave(zone);

	buddy_give_batch(zone, pages, nr, order, WORD(order));
	zone_unlock_irqrestore(zone, flags);
}

static void expect_whole(struct ktest *t, const struct zone *zone)
{
	struct mm_violation v;

	EXPECT_EQ(t, check_memory(zone->mem, &v), 0);
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), BLOCKS);
}

static pfn_t pfn_of(const struct zone *zone, const struct page *page)
{
	return page_to_pfn_in(zone->mem, page);
}

KTEST_SUITE(buddy_batch, KTEST_QUICK);

/*
 * A stack gives out its last entry first. With the lowest page last, the pages come out in
 * ascending order.
 */
KTEST(the_lowest_of_a_block_comes_last)
{
	struct zone *zone = NEED(t, normal_zone(t, BLOCKS));
	struct page *pages[ALL];
	unsigned nr = ALL / 2 + 1, i;

	EXPECT_EQ(t, take(zone, 0, pages, nr), nr);
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(t, pages[i] - pages[nr - 1], nr - 1 - i);
		EXPECT_EQ(t, page_word(pages[i]), WORD(0));
	}
	EXPECT_EQ(t, pfn_of(zone, pages[nr - 1]) % PAGEBLOCK_PAGES, 0);
	EXPECT_EQ(t, zone->nr_free, BLOCKS * PAGEBLOCK_PAGES - nr);
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), BLOCKS - 1);
	give(zone, pages, nr, 0);
	expect_whole(t, zone);
}

/* Pages of a pageblock that was isolated meanwhile go back to it, and are counted. */
KTEST(a_batch_goes_back_to_an_isolated_pageblock)
{
	struct zone *zone = NEED(t, normal_zone(t, BLOCKS));
	struct page *pages[ALL + 2];
	pfn_t block;

	EXPECT_EQ(t, take(zone, 0, pages, ALL + 2), ALL + 2);
	block = ALIGN_DOWN(pfn_of(zone, pages[0]), PAGEBLOCK_PAGES);
	set_isolated(zone, block, true);
	give(zone, pages, ALL + 2, 0);
	EXPECT_EQ(t, zone->nr_free, (BLOCKS - 1) * PAGEBLOCK_PAGES);
	EXPECT_EQ(t, pageblock_of(zone->mem, block)->nr_free, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_FREE_ISOLATED), ALL);
	set_isolated(zone, block, false);
	expect_whole(t, zone);
}

/* The newest record that concerns the page. */
static struct trace_record last_record(const struct zone *zone, pfn_t pfn)
{
	struct trace_hit hit = {.cpu = 0};

	trace_find(zone->mem, pfn, &hit, 1);
	return hit.rec;
}

KTEST(a_batch_is_recorded_run_by_run)
{
	static const unsigned given[] = {3, 4, 1, 6, 7, 63, 64, 66};
	struct zone *zone = NEED(t, normal_zone(t, BLOCKS));
	struct page *pages[ALL], *some[ARRAY_SIZE(given)];
	unsigned nr = 0, i, j;
	pfn_t first;

	EXPECT_EQ(t, take(zone, 0, pages, ALL), ALL);
	first = pfn_of(zone, pages[ALL - 1]);
	EXPECT_EQ(t, last_record(zone, first + 5).kind, TR_refill);
	EXPECT_EQ(t, last_record(zone, first + 5).blocks, ALL);
	for (i = 0; i < ARRAY_SIZE(given) && given[i] < ALL; i++)
		some[nr++] = pages[ALL - 1 - given[i]];
	give(zone, some, nr, 0);
	for (i = 0; i < MIN(ALL, 70u); i++) {
		bool recorded = last_record(zone, first + i).kind == TR_give, wanted = false;

		for (j = 0; j < nr; j++)
			wanted |= given[j] == i;
		EXPECT_EQ(t, recorded, wanted);
	}
	EXPECT_EQ(t, last_record(zone, first + 4).pfn, first + 3);
	EXPECT_EQ(t, last_record(zone, first + 4).blocks, 2);
	EXPECT_EQ(t, take(zone, 0, some, nr), nr);
	EXPECT_EQ(t, last_record(zone, first + 7).kind, TR_refill);
	give(zone, pages, ALL, 0);
	EXPECT_EQ(t, last_record(zone, first).kind, TR_give);
	EXPECT_EQ(t, last_record(zone, first).blocks, MIN(ALL, 64u));
	expect_whole(t, zone);
}

/* ---- one word of a tree ---- */

/* Blocks of one word that are freed together leave the same tree as if freed one by one. */
KTEST(many_at_once_are_as_one_by_one)
{
	struct free_map map = {.counts = 0}, other;
	unsigned step, order, low, window, i, most;
	u64 rand = t->seed, news;

	for (step = 0; step < 20000 && !t->failures; step++) {
		if (step % 50 == 0)
			memset(&map, 0, sizeof(map));
		order = (unsigned)(ktest_rand(&rand) % (step % 4 ? 3 : NR_ORDERS));
		window = MIN(64u << order, ALL);
		low = (unsigned)(ktest_rand(&rand) % (ALL / window)) * window;
		other = map;
		news = ktest_rand(&rand) | (step % 3 ? ktest_rand(&rand) : 0);
		for (i = 0, most = 0; i < 64; i++) {
			unsigned page = low + (i << order), in = 0;

			/* Free only blocks in which no page is free. */
			for (; i < window >> order && in < 1u << order; in++)
				if (free_map_order_at(&map, page + in) >= 0)
					break;
			if (i >= window >> order || in < 1u << order)
				news &= ~(1ULL << i);
			else if (news >> i & 1)
				most = MAX(most, free_map_put(&other, page, order));
		}
		if (!news)
			continue;
		i = free_node(low, order);
		EXPECT_EQ(t, free_map_put_many(&map, i / 64, order, news << i % 64), most);
		EXPECT(t, !__builtin_memcmp(&map, &other, sizeof(map)) && free_map_ok(&map));
	}
}

/* ---- any batches ---- */

static void swap(struct page **a, struct page **b)
{
	struct page *page = *a;

	*a = *b;
	*b = page;
}

/* Reorder the pages: at random, reversed, with some swapped, or not at all. */
static void mix(struct page **pages, unsigned nr, u64 *rand)
{
	unsigned how = (unsigned)(ktest_rand(rand) % 4), i;

	for (i = 0; how == 0 && i < nr; i++)
		swap(&pages[i], &pages[ktest_rand(rand) % nr]);
	for (i = 0; how == 1 && i < nr / 2; i++)
		swap(&pages[i], &pages[nr - 1 - i]);
	for (i = 0; how == 2 && i < nr / 8; i++)
		swap(&pages[ktest_rand(rand) % nr], &pages[ktest_rand(rand) % nr]);
}

/* Of free pages that lie apart, a batch takes some: all of them would take too long. */
KTEST(a_batch_of_scattered_pages_is_short)
{
	enum { WORDS = 32, PAGES = WORDS * 64 };
	static struct page *held[PAGES], *freed[PAGES / 2];
	struct zone *zone = NEED(t, normal_zone(t, PAGES / ALL));
	struct mm_violation v;
	unsigned nr, got, all, i;

	for (nr = 0; (got = take(zone, 0, held + nr, PAGES - nr)); nr += got)
		;
	EXPECT_EQ(t, nr, PAGES);
	for (i = all = 0; i < nr; i++) {
		if (pfn_of(zone, held[i]) % 2)
			freed[all++] = held[i];
	}
	give(zone, freed, all, 0);
	EXPECT_EQ(t, all, PAGES / 2);
	got = take(zone, 0, freed, all);
	EXPECT(t, got > 0 && got <= all / 2);
	for (nr = got; (got = take(zone, 0, freed + nr, all - nr)); nr += got)
		EXPECT(t, got <= all / 2);
	EXPECT_EQ(t, nr, all);
	EXPECT_EQ(t, check_memory(zone->mem, &v), 0);
}

KTEST(any_batches_come_back)
{
	static struct page *held[NR_ORDERS][BLOCKS * PAGEBLOCK_PAGES];
	unsigned nr[NR_ORDERS] = {0}, order, step, some, i;
	struct zone *zone = NEED(t, normal_zone(t, BLOCKS));
	struct mm_violation v;
	u64 rand = t->seed;

	for (step = 0; step < 1500 && !t->failures; step++) {
		order = (unsigned)(ktest_rand(&rand) % NR_ORDERS);
		order = ktest_rand(&rand) % 4 ? order / 3 : order;
		some = 1 + (unsigned)(ktest_rand(&rand) % (ALL >> order / 2));
		if (ktest_rand(&rand) % 8 < (step / 100 % 2 ? 3u : 5u)) {
			unsigned long before = zone->nr_free;
			unsigned got = take(zone, order, held[order] + nr[order], some);

			EXPECT(t, got <= some);
			EXPECT_EQ(t, zone->nr_free, before - ((unsigned long)got << order));
			for (i = 0; i < got; i++)
				EXPECT_EQ(t, page_word(held[order][nr[order] + i]), WORD(order));
			nr[order] += got;
		} else if (nr[order]) {
			some = MIN(some, nr[order]);
			mix(held[order], nr[order], &rand);
			nr[order] -= some;
			give(zone, held[order] + nr[order], some, order);
		}
		if (step % 20 == 0)
			EXPECT_EQ(t, check_memory(zone->mem, &v), 0);
	}
	for (order = 0; order < NR_ORDERS; order++)
		give(zone, held[order], nr[order], order);
	expect_whole(t, zone);
}
