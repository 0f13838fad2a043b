/* SPDX-License-Identifier: MIT */
/*
 * alloc_wait.c: what an allocation that found nothing, and may sleep, waits for.
 *
 * Owns:       the order in which remedies are tried.
 * Locks:      none; it holds none while it waits.
 * Invariants: an allocation never makes a cross-call: what takes one is asked of the reclaim
 *             thread.  A thread that has been chosen to die, or is a reclaim thread, waits for
 *             nothing: it has the reserve.
 * Tests:      waits, silence_oom, play_alloc, reclaim, compact, oom.
 */
#include "mm/alloc.h"
#include "mm/entry.h"
#include "mm/request.h"
#include "mm/zone.h"

/* In this order; the last one ends it. */
static enum outcome (*const remedies[])(struct request *q) = {reclaim_compact_first, reclaim_direct,
    reclaim_compact, reclaim_drain, reclaim_standby, oom_alloc};

/* After each remedy, whatever it says: others may have freed what it needs meanwhile. */
static enum outcome look(struct request *q, enum outcome then)
{
	gfp_t all = 0;

	if (READ_ONCE(port_task()->reserve)) {
		all = GFP_ALL_RESERVE;
		then = TRY_NO_MORE;
	}
	q->page = alloc_from_zonelist(q->mem, q->gfp | all, q->order);
	return q->page ? GOT_IT : then;
}

struct page *alloc_wait(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = {.mem = mem, .gfp = gfp, .order = order};
	enum outcome then;
	unsigned i;

	KASSERT(may_sleep() && !(gfp & GFP_NOWAIT) && order <= MAX_ORDER);
	KASSERT(port_task()->in_alloc > 0);
	do {
		request_begin(&q);
		oom_begin(&q);
		then = TRY_NEXT;
		for (i = 0; then == TRY_NEXT; i++) {
			KASSERT(i < ARRAY_SIZE(remedies));
			if (!READ_ONCE(port_task()->reserve))
				then = remedies[i](&q);
			if (then != GOT_IT)
				then = look(&q, then);
		}
	} while (then == TRY_ANEW);
	return q.page;
}
