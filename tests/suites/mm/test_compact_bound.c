/* SPDX-License-Identifier: MIT */
/*
 * test_compact_bound.c: the bounds of a compaction: beside a thread that refills the pageblocks
 * it empties, with a pageblock that is isolated meanwhile, and with memory on standby.
 */
#include "tests/lib/standby_help.h"

#define ZONE_SIZE (PAGEBLOCK_ORDER >= 9 ? 16u : 64u)

static struct zone *the_zone;

/* Movable pages in all of [@start, @end), and from @half on in every second place. */
static void fill(pfn_t start, pfn_t half, pfn_t end)
{
	u32 i;

	mov_fill_range(start, end);
	for (i = 0; i < mov.nr; i++) {
		pfn_t pfn = page_to_pfn_in(mov.mem, mov.pages[i]);

		if (pfn >= half && pfn % 2)
			mov_free(i);
	}
}

/* ---- churn ---- */

static unsigned from_first; /* moves out of the first pageblock */
static u32 number;          /* of pages with a lower one none is free */

/* A free page of the first pageblock gets an owner, as long as there are numbers of freed pages. */
static void fill_again(struct page *dst, struct page *src)
{
	pfn_t start = the_zone->start_pfn, pfn, found = PFN_NONE;
	irqflags_t flags;

	from_first += page_to_pfn_in(mov.mem, src) < start + PAGEBLOCK_PAGES;
	while (number < mov.nr && mov.pages[number])
		number++;
	if (number == mov.nr)
		return;
	flags = zone_lock_irqsave(the_zone);
	for_each_head(mov.mem, pfn, start) {
		if (word_state(page_word(pfn_to_page_in(mov.mem, pfn))) == PG_FREE)
			found = pfn;
	}
	if (found != PFN_NONE)
		buddy_take_range(the_zone, found, found + 1);
	zone_unlock_irqrestore(the_zone, flags);
	if (found == PFN_NONE)
		return;
	mov.pages[number] = pfn_to_page_in(mov.mem, found);
	page_make_movable(mov.mem, mov.pages[number], &mov.owner, number);
}

static void refilled_window_is_abandoned(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE_SIZE);

	REQUIRE(t, mov_begin(t, mem));
	the_zone = zone_in(mem, ZONE_MOVABLE);
	all_caches_off(t, mem);
	fill(the_zone->start_pfn, the_zone->start_pfn, the_zone->end_pfn);
	from_first = number = 0;
	mov.on_move = fill_again;
	EXPECT_EQ(t, compact_memory(mem, NULL), 0);
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

static void captured_pages_that_are_isolated_are_not_used(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, 0, ZONE_SIZE);
	const struct pageblock *pb;

	REQUIRE(t, mov_begin(t, mem));
	the_zone = zone_in(mem, ZONE_MOVABLE);
	all_caches_off(t, mem);
	fill(the_zone->start_pfn, the_zone->start_pfn + BLOCK(2), the_zone->end_pfn);
	isolated = PFN_NONE;
	into_isolated = 0;
	mov.on_move = isolate_target;
	EXPECT_EQ(t, compact_memory(mem, NULL), 0);
	EXPECT(t, mov.moved > MIGRATE_BATCH / 2);
	REQUIRE(t, isolated != PFN_NONE);
	EXPECT_EQ(t, into_isolated, 0);
	/* As it was, but for the one that came before. */
	pb = pageblock_of(mem, isolated);
	EXPECT_EQ(t, pb->nr_free, PAGEBLOCK_PAGES / 2 - 1);
	set_isolated(the_zone, isolated, false);
	mov_end(t);
}

/* ---- standby ---- */

static unsigned long looks_of(struct ktest *t, struct memory *mem)
{
	struct compact_stats stats;

	if (!mov_begin(t, mem)) {
		ktest_fail(t, __FILE__, __LINE__, "no memory for a list of pages");
		drop_memory(t, mem);
		return 0;
	}
	all_caches_off(t, mem);
	fill(0, BLOCK(1), BLOCK(ONLINE));
	EXPECT_EQ(t, compact_memory(mem, &stats), 0);
	EXPECT_EQ(t, stats.moved, mov.moved);
	EXPECT(t, stats.moved >= PAGEBLOCK_PAGES);
	mov_end(t);
	drop_memory(t, mem);
	return stats.looks;
}

static void standby_memory_adds_no_scanning(struct ktest *t)
{
	static const struct zone_spec alone[] = {{0, ZONE_MOVABLE, ONLINE}};
	struct memory *mem = standing_by(t, ZONE_MOVABLE, 0);
	unsigned long with, without;

	REQUIRE(t, mem);
	with = looks_of(t, mem);
	mem = build_memory(t, 1, NULL, alone, ARRAY_SIZE(alone));
	REQUIRE(t, mem);
	without = looks_of(t, mem);
	EXPECT_EQ(t, with, without);
}

KTEST_SUITE(compact_bound, KTEST_QUICK | KTEST_MOSTLY_COST, KTEST(refilled_window_is_abandoned),
    KTEST_CONTRACT(captured_pages_that_are_isolated_are_not_used),
    KTEST(standby_memory_adds_no_scanning));
