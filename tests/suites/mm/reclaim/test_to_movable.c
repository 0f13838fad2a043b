/* SPDX-License-Identifier: MIT */
/*
 * test_to_movable.c: pages of a lower zone are moved to zone MOVABLE for a request that cannot use
 * MOVABLE.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/vm_help.h"

#define PAGES 64u

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

KTEST_SUITE(to_movable, KTEST_QUICK | KTEST_MOSTLY_INSIDE,
    KTEST(pages_of_a_lower_zone_move_up, KTEST_SLOW));
