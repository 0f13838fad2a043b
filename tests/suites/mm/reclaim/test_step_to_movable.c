/* SPDX-License-Identifier: MIT */
/*
 * test_step_to_movable.c: what others see while pages move to zone MOVABLE. It includes the source
 * of mm/reclaim/to_movable.c, which calls the test when the pages have moved. Hosted only.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/vm_help.h"
#include "mm/vm/lru.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/reclaim.h"

#define PAGES 16u

static struct {
	struct ktest *t;
	unsigned moved;
} seen;

/* The thread that moves the pages is preempted when they have moved; then another thread runs. */
static unsigned then_others(struct memory *mem, struct isolated_pages *pages, struct mm_fail *fail,
    struct migrate_stats *stats)
{
	unsigned failed = migrate_isolated(mem, pages, fail, stats);
	const struct zone *zone = &mem->zones[ZONE_NORMAL];

	seen.moved += stats->moved;
	expect_sound(seen.t, mem);
	/* No other page of the zone could be gained. */
	EXPECT_EQ(seen.t, zone->lru[LRU_UNEVICTABLE].nr, 0);
	EXPECT_EQ(seen.t, zone_evictable(zone), 0);
	EXPECT(seen.t, zone_can_gain(zone));
	return failed;
}

unsigned long stepped_move(struct zone *zone, unsigned long want, bool lent, u32 *walked);
#define migrate_isolated   then_others
#define move_to_movable    stepped_move
#define memory_can_move_up stepped_can_move
#include "mm/reclaim/to_movable.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST_SUITE(to_movable_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* All pages of the zone's lists move; a request may still ask for a run until that is over. */
KTEST(others_see_sound_memory_and_hope_for_the_pages)
{
	struct pile there = {0};
	struct vm_scene s;

	if (!scene_begin(t, &s, PAGES))
		return;
	seen.t = t;
	seen.moved = 0;
	use_up_movable(s.mem, &there);
	fault_pages(t, &s, 0, PAGES);
	EXPECT_EQ(t, pile_free(s.mem, &there), 0);
	drain_all_pages(s.mem, NULL);
	EXPECT_EQ(t, stepped_move(&s.mem->zones[ZONE_NORMAL], PAGES, false, NULL), PAGES);
	EXPECT_EQ(t, seen.moved, PAGES);
	EXPECT_EQ(t, s.mem->zones[ZONE_NORMAL].nr_reclaiming, 0);
	EXPECT_EQ(t, s.mem->zones[ZONE_NORMAL].nr_moving, 0);
	scene_end(t, &s);
}
