/* SPDX-License-Identifier: MIT */
/*
 * model_count.c: judges the events that a call counts: each mistake exactly once, each operation
 * and how it ended, each pageblock that was isolated.
 *
 * Owns:       the numbers before the call, and those expected.
 * Locks:      none: one thread.
 * Invariants: as model.c.  The grader's memories are not judged: what is counted is no part of a
 *             lab.
 * Tests:      tests/qemu/test_states.py.
 */
#include "model.h"

/* Some events are counted by parts of larger calls, and some follow from the records only. */
enum when { ALWAYS, SMALL_CALLS, WATCHED };
static const struct {
	enum mm_event event;
	enum when when;
} counted[] = {{EV_BAD_FREE, ALWAYS}, {EV_ALLOC_BAD_ORDER, ALWAYS}, {EV_PCP_UNBALANCED, ALWAYS},
    {EV_OFFLINE_OK, ALWAYS}, {EV_OFFLINE_FAIL, ALWAYS}, {EV_ONLINE_OK, ALWAYS},
    {EV_ONLINE_FAIL, ALWAYS}, {EV_CONTIG_OK, ALWAYS}, {EV_CONTIG_FAIL, ALWAYS},
    {EV_ISO_BLOCKS, ALWAYS}, {EV_ISO_UNDONE, ALWAYS}, {EV_SOFT_OFFLINE_OK, ALWAYS},
    {EV_SOFT_OFFLINE_FAIL, ALWAYS}, {EV_FAILURE_RECOVERED, ALWAYS}, {EV_FAILURE_DELAYED, ALWAYS},
    {EV_FAILURE_IGNORED, ALWAYS}, {EV_POISON_RETIRED, ALWAYS}, {EV_UNPOISON_OK, ALWAYS},
    {EV_REPORTED, ALWAYS}, {EV_ALLOC_FAIL, SMALL_CALLS}, {EV_ALLOC_ATOMIC_FAIL, SMALL_CALLS},
    {EV_FALLBACK_STEAL, SMALL_CALLS}, {EV_PCP_DISABLE, SMALL_CALLS}, {EV_PCP_REFILL_PAGES, WATCHED},
    {EV_ALLOC_UNCACHED, WATCHED}, {EV_FREE_UNCACHED, WATCHED}, {EV_PCP_SPILL_BLOCKS, WATCHED},
    {EV_PCP_DRAINED, WATCHED}};
static u64 expected[NR_MM_EVENTS]; /* the sum after the call */

void counts_before(void)
{
	unsigned i;

	for (i = 0; model_strict() && i < ARRAY_SIZE(counted); i++)
		expected[counted[i].event] = mm_event_sum(m.mem, counted[i].event);
}

void model_counts(enum mm_event event, u64 nr)
{
	expected[event] += nr;
}

/* A refused request is counted, and each pageblock that one for its type has converted. */
void model_counts_alloc(gfp_t gfp, bool refused)
{
	unsigned i;

	model_counts(EV_ALLOC_FAIL, refused);
	model_counts(EV_ALLOC_ATOMIC_FAIL, refused && gfp & GFP_NOWAIT);
	for (i = m.first; i < m.first + m.blocks; i++)
		model_counts(EV_FALLBACK_STEAL,
		    before.type[i] != pageblock_type(pageblock_of(m.mem, block_pfn(i))));
}

static bool judged(enum when when, const struct wire_call *c)
{
	return when == ALWAYS ||
	    (when == WATCHED ? m.shape.watched : c->code <= CALL_REFRESH && !m.shape.kernel);
}

void judge_counts(const struct wire_call *c)
{
	/* A failed operation undoes its isolations, which nobody sees but these two counts. */
	u64 undone = mm_event_sum(m.mem, EV_ISO_UNDONE) - expected[EV_ISO_UNDONE];
	unsigned i;

	expected[EV_ISO_BLOCKS] += undone;
	expected[EV_ISO_UNDONE] += undone;
	for (i = 0; model_strict() && i < ARRAY_SIZE(counted); i++) {
		enum mm_event event = counted[i].event;
		u64 have = mm_event_sum(m.mem, event);

		WANT(have == expected[event] || !judged(counted[i].when, c),
		    "%llu events %s are counted: expected %llu", (unsigned long long)have,
		    mm_event_name(event), (unsigned long long)expected[event]);
	}
}
