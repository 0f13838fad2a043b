/* SPDX-License-Identifier: MIT */
/*
 * model_count.c: judges the events that a call counts: each mistake exactly once, and each
 * pageblock that was isolated.
 *
 * Owns:       the numbers before the call, and those expected.
 * Locks:      none: one thread.
 * Invariants: as model.c.  The grader's memories are not judged: what is counted is no part of a
 *             lab.
 * Tests:      tests/qemu/test_states.py.
 */
#include "model.h"

static const enum mm_event counted[] = {EV_BAD_FREE, EV_ALLOC_BAD_ORDER, EV_PCP_UNBALANCED,
    EV_OFFLINE_OK, EV_ISO_BLOCKS, EV_ISO_UNDONE};
static u64 expected[NR_MM_EVENTS]; /* the sum after the call */

void counts_before(void)
{
	unsigned i;

	for (i = 0; model_strict() && i < ARRAY_SIZE(counted); i++)
		expected[counted[i]] = mm_event_sum(m.mem, counted[i]);
}

void model_counts(enum mm_event event, u64 nr)
{
	expected[event] += nr;
}

void judge_counts(void)
{
	/* A failed operation undoes its isolations, which nobody sees but these two counts. */
	u64 undone = mm_event_sum(m.mem, EV_ISO_UNDONE) - expected[EV_ISO_UNDONE];
	unsigned i;

	expected[EV_ISO_BLOCKS] += undone;
	expected[EV_ISO_UNDONE] += undone;
	for (i = 0; model_strict() && i < ARRAY_SIZE(counted); i++) {
		u64 have = mm_event_sum(m.mem, counted[i]);

		WANT(have == expected[counted[i]], "%llu events %s are counted: expected %llu",
		    (unsigned long long)have, mm_event_name(counted[i]),
		    (unsigned long long)expected[counted[i]]);
	}
}
