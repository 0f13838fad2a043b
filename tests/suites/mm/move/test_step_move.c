/* SPDX-License-Identifier: MIT */
/*
 * test_step_move.c: as a scanner takes a page, its pageblock has come back in another zone, or the
 * page is used otherwise; and the block that a compaction has made is taken at once.  Hosted only.
 */
#include "mm/core/buddy.h"
#include "tests/host/moment.h"
#include "tests/lib/mov_help.h"

KTEST_SUITE(step_move, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- isolation ---- */

static struct pageblock *moved; /* from zone NORMAL to zone MOVABLE */

static void block_comes_back(void)
{
	WRITE_ONCE(moved->zone, (u8)ZONE_MOVABLE);
}

/* @call takes no page: it finds the page in zone NORMAL, until it has that zone's lock. */
#define TOO_LATE(t, mem, call, want)                                                               \
	do {                                                                                       \
		WRITE_ONCE(moved->zone, (u8)ZONE_NORMAL);                                          \
		EXPECT_AT(t, call, want, .lock = &(mem)->zones[ZONE_NORMAL].lru_lock,              \
		    .act = block_comes_back);                                                      \
	} while (0)

KTEST(page_of_an_object_is_left_in_its_new_zone)
{
	struct page *page;
	struct vm_scene s;
	pfn_t pfn;
	u32 word;

	if (!scene_begin_filled(t, &s, 3))
		return;
	page = page_in(s.object, 1);
	pfn = page_to_pfn_in(s.mem, page);
	word = page_word(page);
	moved = pageblock_of(s.mem, pfn);
	TOO_LATE(t, s.mem, isolate_lru_page(s.mem, pfn), -EAGAIN);
	EXPECT_EQ(t, page_word(page), word);
	expect_sound(t, s.mem);
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn), 0);
	putback_lru_page(s.mem, page);
	scene_end(t, &s);
}

KTEST(page_of_an_owner_is_left_in_its_new_zone)
{
	struct memory *mem = ktest_memory(t, 0, 8, 8);
	struct page *page = NEED(t, mov_begin_one(t, mem));
	pfn_t pfn = page_to_pfn_in(mem, page);

	moved = pageblock_of(mem, pfn);
	EXPECT(t, movable_ops_at(mem, pfn) == &mov_ops);
	TOO_LATE(t, mem, movable_ops_at(mem, pfn) == NULL, true);
	TOO_LATE(t, mem, isolate_movable_page(mem, pfn), -EAGAIN);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, isolate_movable_page(mem, pfn), 0);
	putback_movable_page(mem, page);
	mov_end(t);
}

/* ---- a page whose owner has released it is freed, and becomes a migration's target ---- */

static struct page *released;

static void becomes_a_target(void)
{
	mem_put_page(mov.mem, released);
	if (mem_alloc_pages(mov.mem, GFP_MOVABLE | GFP_NOWAIT, 0) == released)
		WRITE_ONCE(released->owner, &mov.owner);
}

KTEST(page_that_was_released_is_left_to_its_next_user)
{
	struct memory *mem = ktest_memory(t, 0, 8, 8);

	released = NEED(t, mov_begin_one(t, mem));
	REQUIRE(t, !get_page(released));
	mov_free(0);
	EXPECT_AT(t, isolate_movable_page(mem, page_to_pfn_in(mem, released)), -EAGAIN,
	    .point = "lru.isolate", .act = becomes_a_target);
	EXPECT(t, released->owner == &mov.owner);
	EXPECT_EQ(t, page_word(released), PAGE_WORD(1, PG_ALLOC, 0));
	released->owner = NULL;
	EXPECT_EQ(t, mem_free_pages(mem, released, 0), 0);
	mov_end(t);
}

/* ---- compaction ---- */

static struct compact_stats stats;
static struct zone *compacted;
static unsigned long emptied; /* windows at the last release of the zone's lock */
static struct pile taken;

/* The first look at the zone after a window was emptied has found a block: take it. */
static void take_the_block(struct spinlock *lock, enum lock_step step)
{
	if (lock != &compacted->lock || step != LOCK_LEFT || stats.windows == emptied)
		return;
	emptied = stats.windows;
	if (has_free(compacted, MAX_ORDER, MT_MOVABLE))
		pile_alloc(
		    compacted->mem, &taken, GFP_MOVABLE | GFP_NOWAIT, MAX_ORDER, ALL_THERE_IS);
}

KTEST(a_block_that_is_taken_at_once_was_made)
{
	static const struct watch watch = {.spin = take_the_block};
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, MOV_ZONE));

	taken = (struct pile){NULL, 0};
	stats = (struct compact_stats){0};
	emptied = 0;
	REQUIRE(t, mov_begin(t, mem));
	compacted = mov_fragmented(t, mem, ZONE_MOVABLE);
	EXPECT_EQ(t, WATCHED(&watch, compact_zone(compacted, GFP_MOVABLE, MAX_ORDER, &stats)), 0);
	EXPECT_EQ(t, taken.nr, 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_COMPACT_OK), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_COMPACT_FAIL), 0);
	EXPECT_EQ(t, pile_free(mem, &taken), 0);
	mov_end_upwards(t);
}
