/* SPDX-License-Identifier: MIT */
/*
 * test_buddy.c: splitting, merging in any order, exhaustion, and random operations against
 * an oracle. The tests call the buddy allocator directly, past caches and watermarks.
 */
#include "tests/lib/mm_test.h"

/* Every pageblock of the zone is one free block, listed under @type. */
static void expect_all_merged(struct ktest *t, const struct zone *zone, enum migratetype type)
{
	unsigned long blocks = (zone->end_pfn - zone->start_pfn) >> PAGEBLOCK_ORDER;
	unsigned order, i;

	for (order = 0; order < NR_ORDERS; order++) {
		for (i = 0; i < NR_MIGRATETYPES; i++)
			EXPECT_EQ(t, zone_free_blocks(zone, order, i),
			    order == MAX_ORDER && i == type ? blocks : 0);
	}
	EXPECT_EQ(t, zone->nr_free, blocks * PAGEBLOCK_PAGES);
}

KTEST_SUITE(buddy, KTEST_QUICK);

KTEST_INSIDE(split_leaves_one_buddy_of_each_order)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	unsigned order, o;

	for (order = 0; order <= MAX_ORDER; order++) {
		struct page *page = take_block(zone, order, MT_MOVABLE);

		REQUIRE(t, page);
		EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_ALLOC, order));
		for (o = 0; o < NR_ORDERS; o++)
			EXPECT_EQ(
			    t, zone_free_blocks(zone, o, MT_MOVABLE), o >= order && o < MAX_ORDER);
		EXPECT_EQ(t, zone->nr_free, PAGEBLOCK_PAGES - (1UL << order));
		EXPECT_EQ(t, pageblock_of(zone->mem, 0)->nr_free, PAGEBLOCK_PAGES - (1UL << order));
		give_block(zone, page);
		expect_all_merged(t, zone, MT_MOVABLE);
	}
}

static pfn_t block_of(const struct zone *zone, const struct page *page)
{
	return ALIGN_DOWN(page_to_pfn_in(zone->mem, page), PAGEBLOCK_PAGES);
}

/* Mostly free pageblocks are left alone, so that they can become wholly free. */
KTEST_INSIDE(the_fullest_pageblock_that_suffices_is_used)
{
	struct zone *zone = NEED(t, normal_zone(t, 4));
	struct page *first, *second, *page;

	first = NEED(t, take_block(zone, MAX_ORDER - 1, MT_MOVABLE));
	page = NEED(t, take_block(zone, 0, MT_MOVABLE));
	EXPECT_EQ(t, block_of(zone, page), block_of(zone, first));
	second = NEED(t, take_block(zone, MAX_ORDER - 1, MT_MOVABLE));
	EXPECT(t, block_of(zone, second) != block_of(zone, first));
	/*
	 * Less than half of the first pageblock is free, and half of the second. The other two are
	 * wholly free.
	 */
	page = NEED(t, take_block(zone, 0, MT_MOVABLE));
	EXPECT_EQ(t, block_of(zone, page), block_of(zone, first));
	page = NEED(t, take_block(zone, MAX_ORDER - 1, MT_MOVABLE));
	EXPECT_EQ(t, block_of(zone, page), block_of(zone, second));
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), 2);
	/* The first pageblock has enough free memory again, and is the fullest that suffices. */
	give_block(zone, first);
	page = NEED(t, take_block(zone, MAX_ORDER - 1, MT_MOVABLE));
	EXPECT_EQ(t, block_of(zone, page), block_of(zone, first));
}

/* So that linking costs the same however long the list is. */
KTEST_COST(a_pageblock_is_linked_in_front_of_its_list)
{
	struct zone *zone = NEED(t, normal_zone(t, 4));
	struct page *page[4];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = NEED(t, take_block(zone, MAX_ORDER, MT_MOVABLE));
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		give_block(zone, page[i]);
		EXPECT_EQ(t, zone->blocks[MT_MOVABLE][MAX_ORDER], block_of(zone, page[i]));
	}
}

KTEST_INSIDE(smallest_block_that_is_large_enough_is_split)
{
	struct zone *zone = NEED(t, normal_zone(t, 2));
	struct page *first, *second;

	first = NEED(t, take_block(zone, 0, MT_MOVABLE));
	/* The free blocks are one of each order below the largest, and a whole pageblock. */
	second = NEED(t, take_block(zone, 1, MT_MOVABLE));
	EXPECT_EQ(t, zone_free_blocks(zone, 1, MT_MOVABLE), 0);
	EXPECT_EQ(t, zone_free_blocks(zone, 0, MT_MOVABLE), 1);
	EXPECT_EQ(t, zone_free_blocks(zone, 2, MT_MOVABLE), 1);
	EXPECT_EQ(t, zone_free_blocks(zone, MAX_ORDER, MT_MOVABLE), 1);
	give_block(zone, first);
	give_block(zone, second);
}

/* Take all pages of pageblock 0 singly, and then give them back in the order of @next. */
static void take_all_give_back(struct ktest *t, unsigned long (*next)(unsigned long i, u64 *rand))
{
	struct zone *zone = normal_zone(t, 1);
	u64 rand = t->seed;
	unsigned long i;

	REQUIRE(t, zone);
	for (i = 0; i < PAGEBLOCK_PAGES; i++)
		REQUIRE(t, take_block(zone, 0, MT_MOVABLE));
	EXPECT(t, !take_block(zone, 0, MT_MOVABLE));
	for (i = 0; i < PAGEBLOCK_PAGES; i++) {
		struct page *page = pfn_to_page_in(zone->mem, next(i, &rand));

		/* This fails if @next names a page twice. */
		REQUIRE(t, page_word(page) == PAGE_WORD(1, PG_ALLOC, 0));
		EXPECT_EQ(t, zone->nr_free, i);
		give_block(zone, page);
	}
	expect_all_merged(t, zone, MT_MOVABLE);
	EXPECT_EQ(t, free_order_at(zone->mem, 0), MAX_ORDER);
}

static unsigned long ascending(unsigned long i, u64 *rand)
{
	return i;
}

KTEST(pages_freed_in_ascending_order_merge)
{
	take_all_give_back(t, ascending);
}

static unsigned long descending(unsigned long i, u64 *rand)
{
	return PAGEBLOCK_PAGES - 1 - i;
}

KTEST(pages_freed_in_descending_order_merge)
{
	take_all_give_back(t, descending);
}

static unsigned long odd_then_even(unsigned long i, u64 *rand)
{
	return i < PAGEBLOCK_PAGES / 2 ? 2 * i + 1 : 2 * (i - PAGEBLOCK_PAGES / 2);
}

KTEST(pages_freed_odd_ones_first_merge)
{
	take_all_give_back(t, odd_then_even);
}

static unsigned long shuffled(unsigned long i, u64 *rand)
{
	/* The numbers not drawn yet; only one test at a time uses them. */
	static u16 left[PAGEBLOCK_PAGES];
	unsigned long at, nr = PAGEBLOCK_PAGES - i, pick;

	for (at = 0; i == 0 && at < PAGEBLOCK_PAGES; at++)
		left[at] = (u16)at;
	at = ktest_rand(rand) % nr;
	pick = left[at];
	left[at] = left[nr - 1];
	return pick;
}

KTEST(pages_freed_in_any_order_merge)
{
	take_all_give_back(t, shuffled);
}

KTEST(pageblocks_do_not_merge)
{
	struct zone *zone = NEED(t, normal_zone(t, 4));
	struct pile pile = {NULL, 0};
	struct page *page;
	pfn_t pfn;

	while ((page = take_block(zone, MAX_ORDER, MT_MOVABLE)))
		pile_push(&pile, page);
	EXPECT_EQ(t, pile.nr, 4);
	while ((page = pile_pop(&pile)))
		give_block(zone, page);
	expect_all_merged(t, zone, MT_MOVABLE);
	for (pfn = 0; pfn < 4 * PAGEBLOCK_PAGES; pfn += PAGEBLOCK_PAGES)
		EXPECT_EQ(t, page_head(zone->mem, pfn), pfn);
}

KTEST(only_buddies_of_the_same_order_merge)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	pfn_t pfn;

	for (pfn = 0; pfn < PAGEBLOCK_PAGES; pfn++)
		REQUIRE(t, take_block(zone, 0, MT_MOVABLE));
	/*
	 * Pages 0 to 3 merge into one block. The block's buddy is only half free, so the block
	 * merges no further.
	 */
	give_block(zone, pfn_to_page_in(zone->mem, 4));
	give_block(zone, pfn_to_page_in(zone->mem, 5));
	for (pfn = 0; pfn < 4; pfn++)
		give_block(zone, pfn_to_page_in(zone->mem, pfn));
	EXPECT_EQ(t, zone_free_blocks(zone, 1, MT_MOVABLE), 1);
	EXPECT_EQ(t, zone_free_blocks(zone, 2, MT_MOVABLE), 1);
	EXPECT_EQ(t, zone_free_blocks(zone, 3, MT_MOVABLE), 0);
	EXPECT_EQ(t, page_head(zone->mem, 5), 4);
	EXPECT_EQ(t, page_head(zone->mem, 3), 0);
	for (pfn = 6; pfn < PAGEBLOCK_PAGES; pfn++)
		give_block(zone, pfn_to_page_in(zone->mem, pfn));
	expect_all_merged(t, zone, MT_MOVABLE);
}

/* Note that the host knows the three pageblocks of the zone to be free. */
static void report_all(struct zone *zone)
{
	irqflags_t flags = spin_lock_irqsave(&zone->lock);
	unsigned i;

	for (i = 0; i < 3; i++)
		pageblock_set_flag(zone, i * PAGEBLOCK_PAGES, PB_REPORTED);
	spin_unlock_irqrestore(&zone->lock, flags);
}

KTEST(all_pages_come_back_after_exhaustion)
{
	struct zone *zone = NEED(t, normal_zone(t, 3));
	struct pile pile = {NULL, 0};
	struct page *page;
	unsigned order, i;

	for (order = 0; order <= MAX_ORDER; order++) {
		report_all(zone);
		while ((page = take_block(zone, order, MT_MOVABLE)))
			pile_push(&pile, page);
		EXPECT_EQ(t, pile.nr, 3UL << (MAX_ORDER - order));
		EXPECT_EQ(t, zone->nr_free, 0);
		/* Of a page that is taken the host knows so no more. */
		for (i = 0; i < 3; i++)
			EXPECT(t, !(pageblock_of(zone->mem, 0)[i].bits & PB_REPORTED));
		while ((page = pile_pop(&pile)))
			give_block(zone, page);
		expect_all_merged(t, zone, MT_MOVABLE);
	}
}

KTEST(a_fragmented_zone_has_no_large_block)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	pfn_t pfn;

	for (pfn = 0; pfn < PAGEBLOCK_PAGES; pfn++)
		REQUIRE(t, take_block(zone, 0, MT_MOVABLE));
	for (pfn = 0; pfn < PAGEBLOCK_PAGES; pfn += 2)
		give_block(zone, pfn_to_page_in(zone->mem, pfn));
	EXPECT_EQ(t, zone->nr_free, PAGEBLOCK_PAGES / 2);
	EXPECT(t, !take_block(zone, 1, MT_MOVABLE));
}

KTEST_INSIDE(blocks_of_an_isolated_pageblock_merge_off_list, KTEST_SLOW)
{
	struct zone *zone = NEED(t, normal_zone(t, 1));
	struct page *one, *two;

	one = take_block(zone, 0, MT_MOVABLE);
	two = take_block(zone, 1, MT_MOVABLE);
	REQUIRE(t, one && two);
	set_isolated(zone, 0, true);
	EXPECT_EQ(t, zone->nr_free, 0);
	EXPECT(t, !take_block(zone, 0, MT_MOVABLE));
	give_block(zone, one);
	give_block(zone, two);
	EXPECT_EQ(t, zone->nr_free, 0);
	EXPECT_EQ(t, pageblock_of(zone->mem, 0)->nr_free, PAGEBLOCK_PAGES);
	EXPECT_EQ(t, free_order_at(zone->mem, 0), MAX_ORDER);
	EXPECT_EQ(t, mm_event_sum(zone->mem, EV_FREE_ISOLATED), 2);
	set_isolated(zone, 0, false);
	expect_all_merged(t, zone, MT_MOVABLE);
}

#define LIVE_MAX 64
#define STEPS    1500

struct oracle {
	struct zone *zone;
	u8 *owner; /* by pfn: 1 if allocated, otherwise 0 */
	struct page *live[LIVE_MAX];
	unsigned nr;
	unsigned long taken;
};

/* Record a new block; false if it is misaligned, outside the zone, or has allocated pages. */
static bool oracle_take(struct oracle *o, struct page *page, unsigned order)
{
	pfn_t pfn = page_to_pfn_in(o->zone->mem, page), i;

	if (pfn & ((1UL << order) - 1) || pfn + (1UL << order) > o->zone->end_pfn ||
	    page_word(page) != PAGE_WORD(1, PG_ALLOC, order))
		return false;
	for (i = pfn; i < pfn + (1UL << order); i++) {
		if (o->owner[i] || (i != pfn && page_word(pfn_to_page_in(o->zone->mem, i))))
			return false;
		o->owner[i] = 1;
	}
	o->live[o->nr++] = page;
	o->taken += 1UL << order;
	return true;
}

static void oracle_give(struct oracle *o, unsigned at)
{
	struct page *page = o->live[at];
	unsigned order = word_order(page_word(page));
	pfn_t pfn = page_to_pfn_in(o->zone->mem, page), i;

	for (i = pfn; i < pfn + (1UL << order); i++)
		o->owner[i] = 0;
	o->taken -= 1UL << order;
	o->live[at] = o->live[--o->nr];
	give_block(o->zone, page);
}

KTEST(random_operations_agree_with_an_oracle, KTEST_SLOW)
{
	struct oracle o = {.zone = normal_zone(t, 4)};
	unsigned long pages = 4 * PAGEBLOCK_PAGES;
	struct mm_violation v;
	u64 rand = t->seed;
	unsigned step;

	REQUIRE(t, o.zone);
	o.owner = o.zone->mem->alloc(o.zone->mem->alloc_arg, pages);
	REQUIRE(t, o.owner);
	for (step = 0; step < STEPS && !t->failures; step++) {
		u64 r = ktest_rand(&rand);
		/* Phases with more allocations alternate with phases with more frees. */
		bool give = (r >> 32) % 8 < (step / 150 % 2 ? 5u : 3u);

		if (o.nr && (give || o.nr == LIVE_MAX)) {
			oracle_give(&o, r % o.nr);
		} else {
			unsigned order = (unsigned)(r % (MAX_ORDER > 6 ? MAX_ORDER - 1 : 3));
			struct page *page = take_block(o.zone, order, MT_MOVABLE);

			EXPECT(t, !page || oracle_take(&o, page, order));
			EXPECT(t, page || o.taken > 0);
		}
		EXPECT_EQ(t, o.zone->nr_free, pages - o.taken);
		if (step % 100 == 0)
			EXPECT_EQ(t, check_memory(o.zone->mem, &v), 0);
	}
	while (o.nr)
		oracle_give(&o, o.nr - 1);
	expect_all_merged(t, o.zone, MT_MOVABLE);
}

/* Check has_free for requests of each type, in a zone whose blocks are all of one type. */
KTEST(free_lists_of_a_zone_match_what_each_type_may_take)
{
	static const bool takes[NR_CACHED_TYPES][NR_MIGRATETYPES] = {
	    [MT_UNMOVABLE] = {[MT_UNMOVABLE] = true, [MT_MOVABLE] = true, [MT_RECLAIMABLE] = true},
	    [MT_MOVABLE] = {[MT_UNMOVABLE] = true,
	        [MT_MOVABLE] = true,
	        [MT_RECLAIMABLE] = true,
	        [MT_CMA] = true},
	    [MT_RECLAIMABLE] =
	        {[MT_UNMOVABLE] = true, [MT_MOVABLE] = true, [MT_RECLAIMABLE] = true},
	};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 1, 0));
	unsigned listed, type, order, have;
	struct page *page;
	struct zone *zone;

	zone = &mem->zones[ZONE_NORMAL];
	for (listed = 0; listed < NR_MIGRATETYPES; listed++) {
		set_type(zone, 0, (enum migratetype)listed);
		/* First the whole pageblock is free, then only its upper half. */
		for (have = MAX_ORDER; have >= MAX_ORDER - 1; have--) {
			page = have < MAX_ORDER ? take_block(zone, have, (enum migratetype)listed)
			                        : NULL;
			for (type = 0; type < NR_CACHED_TYPES; type++)
				for (order = 0; order <= MAX_ORDER; order++)
					EXPECT_EQ(t, has_free(zone, order, (enum migratetype)type),
					    takes[type][listed] && order <= have);
			if (page)
				give_block(zone, page);
		}
	}
	set_type(zone, 0, MT_MOVABLE);
	page = take_block(zone, MAX_ORDER, MT_MOVABLE);
	for (type = 0; type < NR_CACHED_TYPES; type++)
		EXPECT(t, !has_free(zone, 0, (enum migratetype)type));
	if (page)
		give_block(zone, page);
}

/* ---- the lists of the types ---- */

KTEST(blocks_of_two_types_are_no_larger_block)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 0));
	struct zone *zone = &mem->zones[ZONE_NORMAL];
	irqflags_t flags = zone_lock_irqsave(zone);
	typeof(zone->blocks) blocks;
	typeof(zone->have) have;
	bool has = true, larger = false;
	unsigned type, order;

	memcpy(have, zone->have, sizeof(have));
	memcpy(blocks, zone->blocks, sizeof(blocks));
	for (type = 0; type < MT_CMA; type++) {
		zone->have[type] = 1u << 2;
		for (order = 0; order <= MAX_ORDER; order++)
			zone->blocks[type][order] = order == 2 ? 0 : PFN_NONE;
	}
	for (type = 0; type < MT_CMA; type++) {
		has &= buddy_has(zone, 2, (enum migratetype)type);
		larger |= buddy_has(zone, 3, (enum migratetype)type);
	}
	memcpy(zone->have, have, sizeof(have));
	memcpy(zone->blocks, blocks, sizeof(blocks));
	zone_unlock_irqrestore(zone, flags);
	EXPECT(t, has && !larger);
}
