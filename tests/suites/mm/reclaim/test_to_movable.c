/* SPDX-License-Identifier: MIT */
/*
 * test_to_movable.c: pages of a lower zone are moved to zone MOVABLE for a request that cannot use
 * MOVABLE.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/vm_help.h"
#include "mm/reclaim.h"

#define PAGES 64u
#define ROOM  5u /* free pages of MOVABLE above its high watermark */

/* Anonymous pages use up the kernel's memory; then memory of zone MOVABLE is freed. */
static void pages_of_a_lower_zone_move_up(struct ktest *t)
{
	struct pile there = {0}, low = {0};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, PAGES))
		return;
	while (pile_alloc(s.mem, &there, GFP_MOVABLE | GFP_NOWAIT, 0, 1) &&
	    zone_of(s.mem, page_to_pfn_in(s.mem, there.top)) == movable_zone(s.mem))
		;
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t, vm_fault(s.space, page_at(i), VM_WRITE), 0);
	/* Drain too: cached pages could serve some of the requests. */
	do {
		while (pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, 1))
			;
		drain_all_pages(s.mem, NULL);
	} while (pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, 1));
	/* The last page is of the lower zone, and stays allocated. */
	pile_push(&low, pile_pop(&there));
	EXPECT_EQ(t, pile_free(s.mem, &there), 0);
	EXPECT_EQ(t, pile_alloc(s.mem, &low, GFP_KERNEL, 0, PAGES / 2), PAGES / 2);
	EXPECT(t, vm_object_pages(s.object, ZONE_NORMAL) <= PAGES / 2);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, pile_free(s.mem, &low), 0);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/* Pages move up only into what MOVABLE has above its high watermark. */
static void moves_leave_movable_its_high_watermark(struct ktest *t)
{
	struct pile there = {0};
	struct zone *movable, *low;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, PAGES))
		return;
	all_caches_off(t, s.mem);
	movable = movable_zone(s.mem);
	low = &s.mem->zones[ZONE_NORMAL];
	while (pile_alloc(s.mem, &there, GFP_MOVABLE | GFP_NOWAIT, 0, 1) &&
	    zone_of(s.mem, page_to_pfn_in(s.mem, there.top)) == movable)
		;
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(t, vm_fault(s.space, page_at(i), VM_WRITE), 0);
	while (movable->nr_free < movable->wmark[WMARK_HIGH])
		EXPECT_EQ(t, mem_free_pages(s.mem, pile_pop(&there), 0), 0);
	EXPECT_EQ(t, move_to_movable(low, PAGES), 0);
	for (i = 0; i < ROOM; i++)
		EXPECT_EQ(t, mem_free_pages(s.mem, pile_pop(&there), 0), 0);
	EXPECT_EQ(t, move_to_movable(low, PAGES), ROOM);
	EXPECT_EQ(t, movable->nr_free, movable->wmark[WMARK_HIGH]);
	EXPECT_EQ(t, vm_object_present(s.object), PAGES);
	EXPECT_EQ(t, pile_free(s.mem, &there), 0);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST_SUITE(to_movable, KTEST_QUICK | KTEST_MOSTLY_INSIDE,
    KTEST(pages_of_a_lower_zone_move_up, KTEST_SLOW),
    KTEST_CONTRACT(moves_leave_movable_its_high_watermark, KTEST_SLOW));
