/* SPDX-License-Identifier: MIT */
/*
 * share_help.h: a run queue of a test's own, and the shares of its tasks.
 */
#ifndef QUARRY_TESTS_SHARE_HELP_H
#define QUARRY_TESTS_SHARE_HELP_H

#include "tests/lib/mm_test.h"
#include "kernel/share_inline.h"

/* Both are all zeros. */
static inline void start_queue(struct runq *rq, struct share *task, unsigned nr)
{
	unsigned i;

	/* Of no rank: ticks come meanwhile, and take the lock of this CPU's run queue. */
	rq->lock = SPINLOCK("a test's run queue", RANK_NONE);
	runq_lists_init(rq);
	for (i = 0; i < nr; i++)
		share_init(&task[i]);
}

#endif
