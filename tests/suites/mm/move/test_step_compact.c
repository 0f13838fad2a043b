/* SPDX-License-Identifier: MIT */
/*
 * test_step_compact.c: the block that a compaction has made is taken at once.  The test has a copy
 * of mm/move/compact.c, and takes the block when that copy has seen it.  Hosted only.
 */
#include "mm/core/buddy.h"
#include "tests/lib/mov_help.h"

static struct pile taken;
static bool seen; /* the compaction has seen a block, and holds the lock */

static bool note_seen(struct zone *zone, unsigned order, enum migratetype type)
{
	seen = buddy_has(zone, order, type);
	return seen;
}

static void unlock_and_take(struct zone *zone, irqflags_t flags) NO_LOCK_ANALYSIS
{
	bool take = seen;

	seen = false;
	zone_unlock_irqrestore(zone, flags);
	if (take)
		pile_alloc(zone->mem, &taken, GFP_MOVABLE | GFP_NOWAIT, MAX_ORDER, 1);
}

int stepped_zone(struct zone *zone, gfp_t gfp, unsigned order, struct compact_stats *stats);
int stepped_list(const struct node *node, gfp_t gfp, unsigned order);
int stepped_memory(struct memory *mem, struct compact_stats *stats);
#define buddy_has              note_seen
#define zone_unlock_irqrestore unlock_and_take
#define compact_zone           stepped_zone
#define compact_zonelist       stepped_list
#define compact_memory         stepped_memory
#include "mm/move/compact.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST_SUITE(compact_steps, KTEST_QUICK);

KTEST_INSIDE(a_block_that_is_taken_at_once_was_made)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, MOV_ZONE));
	struct compact_stats stats = {0};
	struct zone *zone;

	taken = (struct pile){NULL, 0};
	REQUIRE(t, mov_begin(t, mem));
	zone = mov_fragmented(t, mem, ZONE_MOVABLE);
	EXPECT_EQ(t, stepped_zone(zone, GFP_MOVABLE, MAX_ORDER, &stats), 0);
	EXPECT_EQ(t, taken.nr, 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_COMPACT_OK), 1);
	EXPECT_EQ(t, mm_event_sum(mem, EV_COMPACT_FAIL), 0);
	EXPECT_EQ(t, pile_free(mem, &taken), 0);
	mov_end_upwards(t);
}
