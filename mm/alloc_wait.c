/* SPDX-License-Identifier: MIT */
/*
 * alloc_wait.c: what an allocation that found nothing, and may sleep, waits for.
 *
 * Owns:       the order in which it tries things.
 * Locks:      none; it holds none while it waits.
 * Invariants: an allocation never makes a cross-call: what takes one is asked of the reclaim thread.
 * Tests:      tests/test_play_alloc.c, tests/test_reclaim.c, tests/test_compact.c, tests/test_oom.c.
 */
#include "mm/alloc.h"
#include "mm/event.h"
#include "mm/reclaim_ask.h"

/* What a compaction has made others may take first: then once more, so often. */
#define COMPACT_TRIES 4

/* A high order: the reclaim thread makes room, which takes calls to other CPUs. */
static struct page *alloc_compacted(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct page *page = NULL;
	unsigned try;

	for (try = 0; try < COMPACT_TRIES && !page; try++) {
		MM_EVENT(mem, ALLOC_COMPACT_WAIT);
		if (!reclaim_wait_compact(mem, gfp, order))
			break;
		page = alloc_from_zonelist(mem, gfp, order);
	}
	return page;
}

/* What keeps an allocation from trying for ever to free pages for a block that does not come together. */
#define RECLAIM_TURNS 16

/*
 * Nothing was free.  In this order, until there is a page: reclaim, as long as it frees anything
 * that the request can use (for a larger block a few times only: what is freed need not lie
 * together); compaction, for a larger block; a drain; standby memory that another thread's lock
 * keeps offline; the last resort.  For one page the first loop has no other bound: in each of its
 * turns pages that would do were freed, and other requests were served with them.
 */
struct page *alloc_wait(struct memory *mem, gfp_t gfp, unsigned order)
{
	const u32 *reserve = &port_task()->reserve;
	struct oom_seen seen = {.runs = 0};
	struct page *page = NULL;
	bool again = true;

	while (!page && again) {
		unsigned turns = 0;
		int brought = 0;
		bool freed;

		oom_begin(mem, &seen);
		do {
			freed = reclaim_direct(mem, gfp, order);
			page = alloc_from_zonelist(mem, gfp, order);
		} while (!page && freed && (order == 0 || ++turns < RECLAIM_TURNS));
		/* Chosen to die meanwhile: no more waiting. */
		if (!page && READ_ONCE(*reserve))
			return alloc_from_zonelist(mem, gfp | GFP_ALL_RESERVE, order);
		if (!page && order > 0 && !(gfp & GFP_NORETRY))
			page = alloc_compacted(mem, gfp, order);
		if (!page) {
			MM_EVENT(mem, ALLOC_DRAIN_WAIT);
			sched_point("slow.drain_wait");
			if (reclaim_wait_drain(mem))
				page = alloc_from_zonelist(mem, gfp, order);
		}
		if (!page && !(gfp & GFP_NORETRY))
			brought = reclaim_wait_standby(mem, gfp, order);
		if (brought < 0)
			return NULL;
		if (!page && !brought)
			page = oom_alloc(mem, gfp, order, &seen, &again);
	}
	return page;
}
