/* SPDX-License-Identifier: MIT */
/*
 * alloc_wait.c: the waits of an allocation that found no page and may sleep.
 *
 * Owns:       the order in which remedies are tried.
 * Locks:      none; it holds none while it waits.
 * Invariants: an allocation never makes a cross-call: the reclaim thread does the work that needs
 *             one.  A reclaim thread or a victim's thread never waits: it may use the reserve.
 * Tests:      waits, silence_oom, play_alloc, reclaim, compact, oom.
 */
#include "mm/core/zone.h"
#include "mm/reclaim/request.h"

/* The remedies, in the order in which they are tried; the last one never returns TRY_NEXT. */
static enum outcome (*const remedies[])(struct request *q) = {reclaim_compact_first, reclaim_direct,
    reclaim_compact, reclaim_drain, reclaim_standby, oom_alloc};

/* Search for a page after each remedy, whatever it returns: other threads may have freed one. */
static enum outcome look(struct request *q, enum outcome then)
{
	gfp_t all = 0;

	if (READ_ONCE(port_task()->reserve)) {
		all = GFP_ALL_RESERVE;
		then = TRY_NO_MORE;
	}
	q->page = alloc_from_zonelist(memory_node(q->mem, arch_cpu_id()), q->gfp | all, q->order);
	return q->page ? GOT_IT : then;
}

/* The most turns of a NORETRY request: it may have a deadline, and others may take the pages. */
#define NORETRY_TURNS 16

struct page *alloc_wait(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = {.mem = mem, .gfp = gfp, .order = order};
	unsigned i, turns = gfp & GFP_NORETRY ? NORETRY_TURNS : 0;
	enum outcome then;

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
	} while (then == TRY_ANEW && --turns);
	return q.page;
}
