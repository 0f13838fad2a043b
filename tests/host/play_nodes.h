/* SPDX-License-Identifier: MIT */
/*
 * play_nodes.h: two nodes with simulated reclaim; each wake-up is noted in the text of
 * judge_help.h.  It is part of play_reclaim.h, and included as text like it.
 */
#ifndef QUARRY_TESTS_PLAY_NODES_H
#define QUARRY_TESTS_PLAY_NODES_H

#include "tests/host/judge_help.h"
#include "tests/lib/mm_test.h"

#include "mm/reclaim.h"

#define NODES  2u
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 4u : 64u) /* pageblocks of each zone */

static struct memory *world;

static inline const char *name_of(const struct waitq *wq)
{
	unsigned n;

	for (n = 0; n < NODES; n++) {
		if (wq == &world->nodes[n].reclaim.wake)
			return n ? "thread 1" : "thread 0";
		if (wq == &world->nodes[n].reclaim.served)
			return n ? "who waits at 1" : "who waits at 0";
	}
	if (wq == &world->standby.wake)
		return "the standby thread";
	return wq == &world->standby.served ? "who waits for standby" : "?";
}

static inline void note_wake(struct waitq *wq)
{
	judge_note("wake %s\n", name_of(wq));
}

#endif
