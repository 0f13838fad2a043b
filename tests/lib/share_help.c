/* SPDX-License-Identifier: MIT */
/* share_help.c: see share_help.h. */
#include "tests/lib/share_help.h"

void start_queue(struct runq *rq, struct share *task, unsigned nr)
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
