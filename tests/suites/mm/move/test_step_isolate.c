/* SPDX-License-Identifier: MIT */
/*
 * test_step_isolate.c: a scanner takes a page whose pageblock is removed, and comes back in another
 * zone, between the look for its zone and the lock of that zone. The test has copies of mm/vm/lru.c
 * and mm/move/migrate_movable.c. Hosted only.
 */
#define lru_add_page          copy_lru_add_page
#define lru_release_pages     copy_lru_release_pages
#define lru_replace_pages     copy_lru_replace_pages
#define isolate_lru_page      copy_isolate_lru_page
#define lru_isolate_found     copy_lru_isolate_found
#define isolate_broken_page   copy_isolate_broken_page
#define lru_isolate_tail      copy_lru_isolate_tail
#define putback_lru_page      copy_putback_lru_page
#define page_make_movable     copy_page_make_movable
#define page_release_movable  copy_page_release_movable
#define movable_ops_at        copy_movable_ops_at
#define isolate_movable_page  copy_isolate_movable_page
#define movable_owner_drain   copy_movable_owner_drain
#define putback_movable_page  copy_putback_movable_page
#define migrate_movable_batch copy_migrate_movable_batch
#include "tests/lib/mov_help.h"

static struct zone *before; /* the zone that each page seems to be in; NULL: its own */

static struct zone *zone_before(struct memory *mem, pfn_t pfn)
{
	return before ? before : zone_of(mem, pfn);
}

#define zone_of zone_before
#include "mm/vm/lru.c" /* NOLINT(bugprone-suspicious-include): the tested source */

#include "mm/move/migrate_movable.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef zone_of

KTEST_SUITE(isolate_late, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

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
	EXPECT(t, zone_of(s.mem, pfn) == &s.mem->zones[ZONE_MOVABLE]);
	before = &s.mem->zones[ZONE_NORMAL];
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn), -EAGAIN);
	before = NULL;
	EXPECT_EQ(t, page_word(page), word);
	expect_sound(t, s.mem);
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn), 0);
	putback_lru_page(s.mem, page);
	scene_end(t, &s);
}

KTEST(page_of_an_owner_is_left_in_its_new_zone)
{
	struct memory *mem = ktest_memory(t, 0, 8, 8);
	struct page *page;
	pfn_t pfn;

	REQUIRE(t, mov_begin(t, mem));
	mov_fill(1);
	REQUIRE(t, mov.nr == 1);
	page = mov.pages[0];
	pfn = page_to_pfn_in(mem, page);
	EXPECT(t, movable_ops_at(mem, pfn) == &mov_ops);
	EXPECT(t, zone_of(mem, pfn) == &mem->zones[ZONE_MOVABLE]);
	before = &mem->zones[ZONE_NORMAL];
	EXPECT(t, !movable_ops_at(mem, pfn));
	EXPECT_EQ(t, isolate_movable_page(mem, pfn), -EAGAIN);
	before = NULL;
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_MOVABLE_OPS, 0));
	EXPECT_EQ(t, isolate_movable_page(mem, pfn), 0);
	putback_movable_page(mem, page);
	mov_end(t);
}
