/* SPDX-License-Identifier: MIT */
/* share_help.h: a run queue that only one test uses, and the shares of its tasks. */
#ifndef QUARRY_TESTS_SHARE_HELP_H
#define QUARRY_TESTS_SHARE_HELP_H

#include "tests/lib/mm_test.h"
#include "kernel/share_inline.h"
#include <quarry/port.h>

/* Prepare @rq and the shares of @nr tasks, which are all zeros at first. */
static inline void start_queue(struct runq *rq, struct share *task, unsigned nr)
{
	unsigned i;

	/*
	 * The lock has no rank: a tick while it is held takes the lock of this CPU's own run queue.
	 */
	rq->lock = SPINLOCK("a test's run queue", RANK_NONE);
	runq_lists_init(rq);
	for (i = 0; i < nr; i++)
		share_init(&task[i]);
}

#endif
