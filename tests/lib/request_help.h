/* SPDX-License-Identifier: MIT */
/* request_help.h: a request that uses one remedy only: a drain, a compaction or reclaim. */
#ifndef QUARRY_TESTS_REQUEST_HELP_H
#define QUARRY_TESTS_REQUEST_HELP_H

#include "mm/reclaim/request.h"

static inline struct request request_for(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = {.mem = mem, .gfp = gfp, .order = order};

	request_begin(&q);
	return q;
}

/* A request that goes on waiting even if memory is free. */
static inline struct request request_for_work(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = request_for(mem, gfp, order);

	q.zones = 0;
	q.freed = 0;
	return q;
}

/* Wait for a drain by the reclaim thread. False: the thread has not drained. */
static inline bool asked_drain(struct memory *mem)
{
	struct request q = request_for_work(mem, GFP_KERNEL, 0);
	u64 done = READ_ONCE(q.node->reclaim.drains.done);

	return reclaim_drain(&q) == TRY_NEXT && READ_ONCE(q.node->reclaim.drains.done) > done;
}

/* Wait for a compaction by the reclaim thread. False: it made no block of @order. */
static inline bool asked_compaction(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = request_for_work(mem, gfp, order);

	return reclaim_compact(&q) == TRY_ANEW;
}

static inline bool reclaims(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct request q = request_for(mem, gfp, order);

	return reclaim_direct(&q) == TRY_ANEW;
}

#endif
