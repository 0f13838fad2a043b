/* SPDX-License-Identifier: MIT */
/*
 * test_check_bounds.c: check_memory reports damage to broken pages, standby memory and zones with
 * overlapping spans, with the right figures.  It accepts values at their bounds, and none beyond.
 */
#include "tests/lib/check_help.h"

/* ---- broken pages ---- */

static void bad_flags_are_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct page *two, *free, *retired;
	struct pageblock *pb, *off;
	struct zone *zone;

	zone = test_zone(mem, ZONE_NORMAL);
	free = pfn_to_page_in(mem, BLOCK(5));
	REQUIRE(t, alloc_on(0, mem, GFP_KERNEL, 1, 1, &two) == 1);
	empty_all(mem);
	PLANT(t, mem, free[1].word, PAGE_F_HWPOISON, "I-H1");
	PLANT(t, mem, free->word, free->word | PAGE_F_HAS_HWPOISON, "I-S1 word of a free page");
	/*
	 * A block of two pages in use: its head tells whether a page of it is broken, and the zone
	 * counts broken pages in use.
	 */
	PLANT(t, mem, two[1].word, PAGE_F_HWPOISON, "I-H4");
	PLANT(t, mem, two->word, two->word | PAGE_F_HAS_HWPOISON, "I-H4");
	PLANT(t, mem, kept_page->word, kept_page->word | PAGE_F_HWPOISON | PAGE_F_HAS_HWPOISON,
	    "I-H4");
	PLANT(t, mem, kept_page->word, kept_page->word | PAGE_F_HWPOISON, "I-N6 doomed");
	two->word |= PAGE_F_HAS_HWPOISON;
	two[1].word = PAGE_F_HWPOISON;
	zone->nr_doomed = 1;
	expect_sound(t, mem);
	PLANT(t, mem, two->word, two->word | PAGE_F_HWPOISON, "I-N6 doomed");
	expect_sound(t, mem);
	PLANT(t, mem, two[1].word, PAGE_F_HWPOISON | PAGE_DIRTY, "I-B3 tail");
	two->word &= ~PAGE_F_HAS_HWPOISON;
	two[1].word = 0;
	zone->nr_doomed = 0;
	EXPECT_EQ(t, free_on(0, mem, 1, 1, &two), 1);
	empty_all(mem);
	/* A retired page. */
	EXPECT_EQ(t, mem_memory_failure(mem, BLOCK(5), 0, NULL), 0);
	expect_sound(t, mem);
	retired = free;
	pb = pageblock_of(mem, BLOCK(5));
	PLANT(t, mem, retired->mapcount, 1, "I-H2");
	PLANT(t, mem, retired->pincount, 1, "I-H2");
	PLANT(t, mem, retired->owner, mem, "I-H2");
	PLANT(t, mem, retired->word, PAGE_WORD(1, PG_HWPOISON, 0), "I-H2");
	PLANT(t, mem, retired->word, PAGE_WORD(2, PG_HWPOISON, 0) | PAGE_F_HWPOISON, "I-H2");
	PLANT(t, mem, pb->nr_poisoned, 2, "I-N6 retired");
	PLANT(t, mem, pb->nr_poisoned, 0, "I-N6 retired");
	EXPECT_EQ(t, offline_pages(mem, BLOCK(5), BLOCK(1), NULL, NULL), 0);
	expect_sound(t, mem);
	off = pb;
	PLANT(t, mem, off->nr_poisoned, 2, "I-N6 flagged pages offline");
	PLANT(t, mem, retired->word, 0u, "I-N6 flagged pages offline");
	EXPECT_EQ(t, mem_unpoison_page(mem, BLOCK(5)), 0);
	EXPECT_EQ(t, online_pages(mem, BLOCK(5), BLOCK(1), NULL), 0);
	sound_end(t, mem);
}

/* ---- offline memory ---- */

static void bad_standby_is_found(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct pageblock *off, *hole, *on;
	struct zone *zone, *other;
	pfn_t saved, saved_end;

	zone = test_zone(mem, ZONE_MOVABLE);
	other = test_zone(mem, ZONE_NORMAL);
	saved = zone->standby;
	saved_end = zone->standby_end;
	EXPECT_EQ(t, offline_pages(mem, BLOCK(6), BLOCK(1), NULL, NULL), 0);
	make_hole(t, mem, BLOCK(7));
	on = pageblock_of(mem, BLOCK(5));
	off = pageblock_of(mem, BLOCK(6));
	hole = pageblock_of(mem, BLOCK(7));
	PLANT(t, mem, on->bits, on->bits | PB_EVACUATED, "I-O3");
	PLANT(t, mem, hole->nr_free, 1, "I-O2");
	PLANT(t, mem, hole->bits, hole->bits | PB_ISOLATED, "I-I7");
	PLANT(t, mem, hole->nr_poisoned, 1, "I-N6 flagged pages offline");
	/* A hole has no zone; an offline pageblock has the zone whose span holds it. */
	PLANT(t, mem, off->zone, MAX_ZONES, "I-N4");
	PLANT(t, mem, off->zone, other->id, "I-N4");
	zone->standby = BLOCK(6);
	zone->standby_end = BLOCK(8);
	expect_sound(t, mem);
	PLANT(t, mem, off->nr_poisoned, 1, "I-N6 flagged standby");
	PLANT(t, mem, off->nr_poisoned, PAGEBLOCK_PAGES - 1, "I-N6 flagged standby");
	off->nr_poisoned = PAGEBLOCK_PAGES;
	expect_sound(t, mem);
	off->nr_poisoned = 0;
	PLANT(t, mem, zone->standby, BLOCK(5), "I-O4");
	PLANT(t, mem, zone->standby, BLOCK(6) - 1, "I-O4");
	zone->standby = BLOCK(4);
	PLANT(t, mem, zone->standby_end, BLOCK(4) + 1, "I-O4");
	PLANT(t, mem, zone->standby, 0, "I-O4");
	zone->standby = saved;
	zone->standby_end = saved_end;
	sound_end(t, mem);
}

/* Spans overlap: the zone that a pageblock names is right if the span of that zone contains it. */
static void zones_may_overlap(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct zone *low, *high;
	pfn_t end_pfn, start_pfn;

	low = test_zone(mem, ZONE_NORMAL);
	high = test_zone(mem, ZONE_MOVABLE);
	end_pfn = low->end_pfn;
	start_pfn = high->start_pfn;
	low->end_pfn = high->end_pfn;
	high->start_pfn = low->start_pfn;
	expect_sound(t, mem);
	PLANT(t, mem, high->start_pfn, start_pfn + BLOCK(1), "I-N4 zone of a pageblock");
	PLANT(t, mem, high->end_pfn, high->end_pfn - BLOCK(1), "I-N4 zone of a pageblock");
	PLANT(t, mem, low->start_pfn, BLOCK(1), "I-N4 listed page");
	PLANT(t, mem, low->end_pfn, BLOCK(3), "I-N4");
	PLANT(t, mem, low->blocks[MT_MOVABLE][MAX_ORDER], (u32)BLOCK(5),
	    "I-N4 listed pageblock's zone");
	high->start_pfn = start_pfn;
	expect_sound(t, mem);
	low->end_pfn = end_pfn;
	sound_end(t, mem);
}

/* ---- both sides of a bound ---- */

static void values_at_their_bounds_are_sound(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct zone *zone;
	unsigned long wmark[3], room;
	u16 saved;

	zone = test_zone(mem, ZONE_NORMAL);
	memcpy(wmark, zone->wmark, sizeof(wmark));
	zone->wmark[WMARK_MIN] = zone->wmark[WMARK_LOW] = zone->wmark[WMARK_HIGH];
	expect_sound(t, mem);
	memcpy(zone->wmark, wmark, sizeof(wmark));
	kept_page->word++;
	kept_page->mapcount = 1;
	kept_page->pincount = 1;
	expect_sound(t, mem);
	PLANT(t, mem, kept_page->pincount, 2, "I-S2 references cover pins");
	PLANT(t, mem, kept_page->mapcount, 2, "I-S2 references cover pins");
	kept_page->mapcount = kept_page->pincount = 0;
	kept_page->word--;
	/* The most blocks that a zone may let each CPU cache. */
	zone = test_zone(mem, ZONE_MOVABLE);
	memset(zone->pcp_capacity, 0, sizeof(zone->pcp_capacity));
	room = zone->managed / 16 / mem->nr_cpus;
	saved = (u16)room;
	zone->pcp_capacity[0][MT_MOVABLE] = saved;
	expect_sound(t, mem);
	PLANT(t, mem, zone->pcp_capacity[0][MT_MOVABLE], (u16)(saved + 1), "I-P7");
	set_limits(zone, 0);
	sound_end(t, mem);
}

static void violation_has_the_figures_of_the_damage(struct ktest *t)
{
	struct memory *mem = NEED(t, sound_memory(t));
	struct page *free;
	struct zone *zone;
	struct pageblock *pb;
	pfn_t pfn;

	zone = test_zone(mem, ZONE_NORMAL);
	pfn = page_to_pfn_in(mem, kept_page);
	free = pfn_to_page_in(mem, BLOCK(5));
	pb = pageblock_of(mem, BLOCK(5));
	kept_page->pincount = 3;
	expect_figures(t, mem, pfn, 1, 3, __LINE__);
	kept_page->pincount = 0;
	free->pincount = 1;
	expect_named(t, mem, "I-S2 free page", __LINE__);
	expect_figures(t, mem, BLOCK(5), 1, 0, __LINE__);
	free->pincount = 0;
	PLANT(t, mem, free->mapcount, 1, "I-S2 free page");
	free[3].word = 9;
	expect_figures(t, mem, BLOCK(5) + 3, 9, 0, __LINE__);
	free[3].word = 0;
	pb->nr_free--;
	expect_figures(t, mem, BLOCK(5), PAGEBLOCK_PAGES - 1, PAGEBLOCK_PAGES, __LINE__);
	pb->nr_free++;
	zone->present++;
	expect_figures(t, mem, zone->id, zone->present, zone->present - 1, __LINE__);
	zone->present--;
	zone->managed++;
	expect_figures(t, mem, zone->id, zone->managed, zone->managed - 1, __LINE__);
	zone->managed--;
	sound_end(t, mem);
}

KTEST_SUITE(check_bounds, KTEST_MOSTLY_INSIDE, KTEST(bad_flags_are_found),
    KTEST(bad_standby_is_found), KTEST(zones_may_overlap), KTEST(values_at_their_bounds_are_sound),
    KTEST(violation_has_the_figures_of_the_damage));
