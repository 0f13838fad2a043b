/* SPDX-License-Identifier: MIT */
/*
 * model_record.c: judges the records that a call leaves in the ring (trace_ring.h): each moves a
 * block from where it was, and after the last one all pages are where the model has them.
 *
 * Owns:       the places of the pages.
 * Locks:      none: one thread.
 * Invariants: as model.c.  Only memories whose shape is watched are judged.
 * Tests:      tests/qemu/test_states.py.
 */
#include "model.h"
#include <quarry/trace_ring.h>

/* Of a page, as the records tell it; one that is freed is in a cache, if no record follows. */
enum place { LISTED = 1, CACHED = 2, USED = 4, TAKEN = 8, FREED = 16 };
static u8 places[ARENA_PAGES];
static u64 first; /* number of the call's first record */

static enum place place_now(pfn_t pfn)
{
	bool cached = word_state(block_word(m.mem, page_head(m.mem, pfn))) == PG_PCP;

	return m.owner[pfn] ? USED : cached ? CACHED : LISTED;
}

void records_before(void)
{
	pfn_t pfn;

	if (!m.shape.watched)
		return;
	first = m.mem->pcp[0]->ring->next;
	for (pfn = block_pfn(m.first); pfn < block_pfn(m.first + m.blocks); pfn++)
		places[pfn] = (u8)place_now(pfn);
}

static void judge_record(const struct trace_record *rec, unsigned from, enum place to)
{
	pfn_t pfn = rec->pfn, end = pfn + ((pfn_t)MAX(rec->blocks, 1u) << rec->order);

	for (; pfn < end; pfn++) {
		WANT_OF(pfn < ARENA_PAGES && places[pfn] & from, pfn,
		    "a record \"%s\" of pfn %#lx, which was not there",
		    trace_kind_name((enum trace_kind)rec->kind), pfn);
		places[pfn] = (u8)to;
	}
}

void judge_records(const struct wire_call *c)
{
	static const struct {
		u8 kind, from, to;
		enum mm_event event;
	} steps[] = {
	    {TR_refill, LISTED, CACHED, EV_PCP_REFILL_PAGES},
	    {TR_take, LISTED | CACHED, TAKEN, EV_ALLOC_UNCACHED},
	    {TR_alloc, CACHED | TAKEN, USED, NR_MM_EVENTS},
	    {TR_free, USED, FREED, NR_MM_EVENTS},
	    {TR_direct, FREED, LISTED, EV_FREE_UNCACHED},
	    {TR_give, CACHED | FREED, LISTED, EV_PCP_DRAINED},
	};
	const struct trace_ring *ring = m.mem->pcp[0]->ring;
	bool spills = c->code == CALL_FREE || c->code == CALL_BULK_FREE;
	unsigned i;
	pfn_t pfn;

	for (; m.shape.watched && first < ring->next; first++) {
		const struct trace_record *rec = &ring->rec[first % TRACE_RECORDS];

		for (i = 0; i < ARRAY_SIZE(steps) && steps[i].kind != rec->kind;)
			i++;
		if (i == ARRAY_SIZE(steps))
			continue;
		/* A refill's first block is for the caller, and does not count as cached. */
		if (rec->kind == TR_take && rec->pfn < ARENA_PAGES && places[rec->pfn] == CACHED)
			model_counts(EV_PCP_REFILL_PAGES, -1ULL);
		judge_record(rec, steps[i].from, (enum place)steps[i].to);
		if (steps[i].event < NR_MM_EVENTS)
			model_counts(
			    spills && rec->kind == TR_give ? EV_PCP_SPILL_BLOCKS : steps[i].event,
			    MAX(rec->blocks, 1u));
	}
	for (pfn = block_pfn(m.first); m.shape.watched && pfn < block_pfn(m.first + m.blocks);
	     pfn++) {
		enum place now = place_now(pfn);

		WANT_OF(places[pfn] & (now == CACHED ? CACHED | FREED : now), pfn,
		    "the records of the call do not tell where pfn %#lx is now", pfn);
	}
}
