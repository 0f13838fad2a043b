/* SPDX-License-Identifier: MIT */
/*
 * test_compact_bound.c: the bounds of a compaction: watermarks, emptied pageblocks
 * that are refilled, captured pages that are isolated or break meanwhile, and standby memory.
 */
#include "tests/lib/mov_help.h"
#include "tests/lib/standby_help.h"
#include <quarry/poison.h>

#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 16u : 64u)

static struct zone *the_zone;

KTEST_SUITE(compact_bound, KTEST_QUICK | KTEST_MOSTLY_COST);

/* ---- watermarks ---- */

KTEST_CONTRACT(moves_leave_the_watermark)
{
	struct memory *mem = ktest_memory(t, 0, 0, MOV_ZONE);
	struct zone *zone;
	u32 i;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(ALL_THERE_IS);
	mov_take_rest();
	zone = zone_in(mem, ZONE_MOVABLE);
	/* Free some pages of the upper half, no two neighbours, to just above the watermark. */
	for (i = 0; zone->nr_free < zone->wmark[WMARK_MIN] + 4 && i < mov.nr; i++) {
		pfn_t pfn = page_to_pfn_in(mem, mov.pages[i]);

		if (pfn % 3 || pfn < (zone->start_pfn + zone->end_pfn) / 2)
			continue;
		mov_free(i);
		drain_local_pages(mem, NULL);
	}
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, 1, NULL), 0);
	/* A whole batch would take more pages than are above the watermark. */
	EXPECT_EQ(t, compact_memory(mem, NULL), 0);
	EXPECT(t, mm_event_sum(mem, EV_COMPACT_MOVED) > 0);
	EXPECT(t, mov.least >= zone->wmark[WMARK_MIN]);
	mov_end_upwards(t);
}

/* For a request that the watermark refuses, nothing is moved, even if much could be. */
KTEST(compaction_below_the_watermark_does_not_start, KTEST_SLOW)
{
	struct memory *mem = ktest_memory(t, 0, 0, MOV_ZONE);
	struct compact_stats stats = {0};
	struct pile pile = {NULL, 0};
	unsigned long mark;
	struct page *page;
	struct zone *zone;

	REQUIRE(t, mov_begin(t, mem));
	zone = mov_fragmented(t, mem, ZONE_MOVABLE);
	mark = zone->wmark[WMARK_MIN] + PAGEBLOCK_PAGES;
	while (zone->nr_free >= mark && (page = take_block(zone, 0, MT_MOVABLE)))
		pile_push(&pile, page);
	EXPECT_EQ(t, zone->nr_free, mark - 1);
	EXPECT_EQ(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats), -ENOMEM);
	EXPECT_EQ(t, stats.looks, 0);
	EXPECT_EQ(t, stats.moved, 0);
	give_block(zone, pile_pop(&pile));
	EXPECT(t, compact_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats) != -EINVAL);
	EXPECT(t, stats.looks > 0);
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	mov_end_upwards(t);
}

/* ---- emptied pageblocks that are refilled ---- */

static unsigned from_first; /* moves out of the first pageblock */
static u32 number;          /* below this index, mov.pages[] is full */

/* Take a free page of the pageblock at @block; NULL: there is none. */
static struct page *take_one_of(pfn_t block)
{
	irqflags_t flags = zone_lock_irqsave(the_zone);
	pfn_t pfn, found = PFN_NONE;

	for_each_head(mov.mem, pfn, block) {
		if (word_state(block_word(mov.mem, pfn)) == PG_FREE)
			found = pfn;
	}
	if (found != PFN_NONE)
		buddy_take_range(the_zone, found, found + 1);
	zone_unlock_irqrestore(the_zone, flags);
	return found == PFN_NONE ? NULL : pfn_to_page_in(mov.mem, found);
}

/* At each move, take a free page of the first pageblock and give it the number of a freed page. */
static void fill_again(struct page *dst, struct page *src)
{
	pfn_t start = the_zone->start_pfn;
	struct page *page;

	from_first += page_to_pfn_in(mov.mem, src) < start + PAGEBLOCK_PAGES;
	while (number < mov.nr && mov.pages[number])
		number++;
	page = number < mov.nr ? take_one_of(start) : NULL;
	if (!page)
		return;
	mov.pages[number] = page;
	make_movable(mov.mem, mov.pages[number], &mov.owner, number);
}

/* Fill a zone MOVABLE: the first @from pageblocks wholly, the others half. */
static struct zone *begin_filled(struct ktest *t, unsigned from)
{
	struct zone *zone = mov_only_zone(t, ZONE_MOVABLE, ZONE_SIZE);

	if (!zone)
		return NULL;
	mov_fill_range(zone->start_pfn, zone->start_pfn + BLOCK(from));
	mov_half_fill(zone->start_pfn + BLOCK(from), zone->end_pfn);
	return zone;
}

KTEST(refilled_window_is_abandoned, KTEST_SLOW)
{
	the_zone = NEED(t, begin_filled(t, 0));
	from_first = number = 0;
	mov.on_move = fill_again;
	EXPECT_EQ(t, compact_memory(mov.mem, NULL), 0);
	EXPECT(t, number > 0);
	EXPECT(t, from_first > 0 && from_first <= PAGEBLOCK_PAGES + MIGRATE_BATCH);
	mov_end(t);
}

/* ---- isolation meanwhile ---- */

static pfn_t isolated;
static unsigned into_isolated;

static void isolate_target(struct page *dst, struct page *src)
{
	pfn_t block = ALIGN_DOWN(page_to_pfn_in(mov.mem, dst), PAGEBLOCK_PAGES);

	if (isolated == PFN_NONE) {
		isolated = block;
		set_isolated(the_zone, block, true);
	} else {
		into_isolated += block == isolated;
	}
}

KTEST_CONTRACT(captured_pages_that_are_isolated_are_not_used, KTEST_SLOW)
{
	const struct pageblock *pb;

	the_zone = NEED(t, begin_filled(t, 2));
	isolated = PFN_NONE;
	into_isolated = 0;
	mov.on_move = isolate_target;
	EXPECT_EQ(t, compact_memory(mov.mem, NULL), 0);
	EXPECT(t, mov.moved > MIGRATE_BATCH / 2);
	REQUIRE(t, isolated != PFN_NONE);
	EXPECT_EQ(t, into_isolated, 0);
	/* The isolated pageblock is still half free, except for the target of the first move. */
	pb = pageblock_of(mov.mem, isolated);
	EXPECT_EQ(t, pb->nr_free, PAGEBLOCK_PAGES / 2 - 1);
	set_isolated(the_zone, isolated, false);
	mov_end(t);
}

static unsigned free_at_next; /* free pages of the isolated pageblock, a step later */

/* At the first move isolate the last pageblock, whose pages were captured first. */
static void isolate_last(struct page *dst, struct page *src)
{
	if (mov.moved == 1)
		set_isolated(the_zone, isolated, true);
	else if (mov.moved == 2)
		free_at_next = pageblock_of(mov.mem, isolated)->nr_free;
}

KTEST_CONTRACT(captured_pages_that_are_isolated_are_free_at_the_next_move, KTEST_SLOW)
{
	struct pile pile = {NULL, 0};

	the_zone = NEED(t, begin_filled(t, 2));
	isolated = the_zone->end_pfn - PAGEBLOCK_PAGES;
	/* Leave 4 free pages in the last pageblock: a batch captures these and more. */
	while (pageblock_of(mov.mem, isolated)->nr_free > 4)
		pile_push(&pile, take_one_of(isolated));
	mov.on_move = isolate_last;
	EXPECT_EQ(t, compact_memory(mov.mem, NULL), 0);
	EXPECT(t, mov.moved > 2);
	EXPECT_EQ(t, free_at_next, 4);
	set_isolated(the_zone, isolated, false);
	EXPECT_EQ(t, pile_free(mov.mem, &pile), 0);
	mov_end(t);
}

/* Called under the lru lock for each page of the next window, before a page is moved. */
static int look_and_isolate(struct memory *mem, struct page *page)
{
	if (isolated != PFN_NONE && free_at_next == ~0u)
		free_at_next = pageblock_of(mem, isolated)->nr_free;
	return 0;
}

/* At the first move pin the other pages of the batch: they need no captured page. */
static void isolate_and_pin(struct page *dst, struct page *src)
{
	u32 i;

	isolate_target(dst, src);
	for (i = 0; i < mov.nr && mov.moved == 1; i++) {
		struct page *page = mov.pages[i];

		if (page && word_state(page_word(page)) == PG_ISO_MIG)
			EXPECT_EQ(mov.t, pin_page(page), 0);
	}
}

KTEST_CONTRACT(captured_pages_that_are_isolated_are_free_at_the_next_window, KTEST_SLOW)
{
	static const struct movable_ops looks = {
	    .isolate = look_and_isolate, .migrate = mov_migrate, .putback = mov_putback};
	u32 i;

	the_zone = NEED(t, begin_filled(t, 2));
	mov.owner.ops = &looks;
	isolated = PFN_NONE;
	free_at_next = ~0u;
	mov.on_move = isolate_and_pin;
	EXPECT_EQ(t, compact_memory(mov.mem, NULL), 0);
	/* All pages that were free are free again, except for the target of the first move. */
	EXPECT_EQ(t, free_at_next, PAGEBLOCK_PAGES / 2 - 1);
	for (i = 0; i < mov.nr; i++)
		if (mov.pages[i] && mov.pages[i]->pincount)
			mem_unpin_page(mov.mem, mov.pages[i]);
	set_isolated(the_zone, isolated, false);
	mov_end(t);
}

/* ---- a captured page breaks ---- */

static struct page *broken;
static unsigned into_broken;

/* Report a captured page as broken while another page is being moved. */
static void break_one_in_hand(struct page *dst, struct page *src)
{
	pfn_t block = ALIGN_DOWN(page_to_pfn_in(mov.mem, dst), PAGEBLOCK_PAGES), pfn;
	struct poison_result result;

	into_broken += dst == broken;
	for (pfn = block; pfn < block + PAGEBLOCK_PAGES && !broken; pfn++) {
		struct page *page = pfn_to_page_in(mov.mem, pfn);

		if (page != dst && page_word(page) == PAGE_WORD(1, PG_ALLOC, 0))
			broken = page;
	}
	if (broken && !page_poisoned(broken))
		EXPECT_EQ(mov.t,
		    mem_memory_failure(mov.mem, page_to_pfn_in(mov.mem, broken), 0, &result),
		    -EBUSY);
}

KTEST_CONTRACT(captured_page_that_broke_is_not_moved_to, KTEST_SLOW)
{
	the_zone = NEED(t, begin_filled(t, 2));
	broken = NULL;
	into_broken = 0;
	mov.on_move = break_one_in_hand;
	EXPECT_EQ(t, compact_memory(mov.mem, NULL), 0);
	REQUIRE(t, broken);
	EXPECT_EQ(t, into_broken, 0);
	/* The page was retired when it was freed. */
	EXPECT_EQ(t, word_state(page_word(broken)), PG_HWPOISON);
	EXPECT_EQ(t, mem_unpoison_page(mov.mem, page_to_pfn_in(mov.mem, broken)), 0);
	mov_end(t);
}

/* ---- standby memory ---- */

static unsigned long looks_of(struct ktest *t, struct memory *mem)
{
	struct compact_stats stats;

	if (!mov_begin(t, mem)) {
		ktest_fail(t, __FILE__, __LINE__, "no memory for a list of pages");
		drop_memory(t, mem);
		return 0;
	}
	all_caches_off(t, mem);
	mov_fill_range(0, BLOCK(1));
	mov_half_fill(BLOCK(1), BLOCK(ONLINE));
	EXPECT_EQ(t, compact_memory(mem, &stats), 0);
	EXPECT_EQ(t, stats.moved, mov.moved);
	EXPECT(t, stats.moved >= PAGEBLOCK_PAGES);
	mov_end(t);
	drop_memory(t, mem);
	return stats.looks;
}

KTEST(standby_memory_adds_no_scanning)
{
	static const struct zone_spec alone[] = {{0, ZONE_MOVABLE, ONLINE}};
	struct memory *mem = NEED(t, standing_by(t, ZONE_MOVABLE, 0));
	unsigned long with, without;

	with = looks_of(t, mem);
	mem = NEED(t, build_memory(t, 1, NULL, alone, ARRAY_SIZE(alone)));
	without = looks_of(t, mem);
	EXPECT_EQ(t, with, without);
}
