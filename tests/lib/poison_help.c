/* SPDX-License-Identifier: MIT */
/* poison_help.c: see poison_help.h. */
#include "tests/lib/poison_help.h"

unsigned long nr_poisoned(const struct memory *mem)
{
	struct poison_count n = mem_poisoned(mem);

	return n.retired + n.doomed + n.offline;
}

unsigned long nr_flagged(struct memory *mem)
{
	unsigned long nr = 0;
	pfn_t pfn = 0;

	while ((pfn = mem_poisoned_next(mem, pfn)) != PFN_NONE) {
		nr++;
		pfn++;
	}
	return nr;
}

bool is_flagged(const struct memory *mem, pfn_t pfn)
{
	return page_word(pfn_to_page_in(mem, pfn)) & PAGE_F_HWPOISON;
}

void doom_page(struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	irqflags_t flags = zone_lock_irqsave(zone);

	poison_doom(zone, pfn, pfn);
	zone_unlock_irqrestore(zone, flags);
}

bool is_retired(const struct memory *mem, pfn_t pfn)
{
	return page_word(pfn_to_page_in(mem, pfn)) ==
	    (PAGE_WORD(1, PG_HWPOISON, 0) | PAGE_F_HWPOISON);
}

void expect_poisoned(struct ktest *t, struct memory *mem, unsigned long nr)
{
	EXPECT_EQ(t, nr_poisoned(mem), nr);
	EXPECT_EQ(t, nr_flagged(mem), nr);
	expect_sound(t, mem);
}

void expect_never_allocated(struct ktest *t, struct memory *mem, pfn_t pfn)
{
	struct zone *zone = zone_of(mem, pfn);
	struct pile pile = {NULL, 0};
	unsigned type, found = 0;
	struct page *page;

	drain_all_pages(mem, NULL);
	for (type = 0; type < NR_MIGRATETYPES; type++) {
		while ((page = take_block(zone, 0, (enum migratetype)type))) {
			found += page_to_pfn_in(mem, page) == pfn;
			pile_push(&pile, page);
		}
	}
	EXPECT_EQ(t, found, 0);
	EXPECT(t, is_flagged(mem, pfn));
	EXPECT_EQ(t, pile_free(mem, &pile), 0);
	drain_all_pages(mem, NULL);
}

/* ---- one page in one state ---- */

static bool stand_begin(struct stand *s, const struct page_in_state *state)
{
	s->page = s->other[0] = NULL;
	drain_all_pages(s->mem, NULL);
	if (state->make(s))
		return true;
	ktest_fail(s->t, __FILE__, __LINE__, "the page could not be brought into its state");
	return false;
}

/*
 * Drop all references: a flagged page is retired then and never allocated. After unpoison it is
 * free again.
 */
static void stand_end(struct stand *s, const struct page_in_state *state, unsigned long free)
{
	struct ktest *t = s->t;
	u64 unpoisoned;
	bool page = pfn_valid_in(s->mem, s->pfn), was = page && is_flagged(s->mem, s->pfn);

	if (state->release)
		state->release(s);
	if (s->other[0])
		give_block(zone_of(s->mem, s->pfn), s->other[0]);
	if (was) {
		EXPECT(t, is_retired(s->mem, s->pfn));
		expect_poisoned(t, s->mem, 1);
		EXPECT_EQ(t, mem_poisoned(s->mem).retired, 1);
		EXPECT_EQ(t, mem_poisoned_next(s->mem, 0), s->pfn);
		expect_never_allocated(t, s->mem, s->pfn);
		EXPECT_EQ(t, memory_free_pages(s->mem), free - 1);
		unpoisoned = mm_event_sum(s->mem, EV_UNPOISON_OK);
		EXPECT_EQ(t, mem_unpoison_page(s->mem, s->pfn), 0);
		EXPECT_EQ(t, mm_event_sum(s->mem, EV_UNPOISON_OK), unpoisoned + 1);
	}
	drain_all_pages(s->mem, NULL);
	expect_poisoned(t, s->mem, 0);
	EXPECT_EQ(t, memory_free_pages(s->mem), free);
}

static void try_soft(struct stand *s, const struct page_in_state *state, unsigned long free)
{
	struct ktest *t = s->t;
	enum mm_event event = state->soft ? EV_SOFT_OFFLINE_FAIL : EV_SOFT_OFFLINE_OK;
	unsigned long before;
	u64 events;

	if (!stand_begin(s, state))
		return;
	before = nr_poisoned(s->mem);
	events = mm_event_sum(s->mem, event);
	EXPECT_EQ(t, mem_soft_offline_page(s->mem, s->pfn), state->soft);
	/* A soft offline is counted only if it succeeded, and only once. */
	expect_poisoned(t, s->mem, state->soft || before ? before : 1);
	if (!state->soft)
		EXPECT(t, is_retired(s->mem, s->pfn));
	EXPECT_EQ(t, mem_soft_offline_page(s->mem, s->pfn), state->soft);
	expect_poisoned(t, s->mem, state->soft || before ? before : 1);
	EXPECT_EQ(t, mm_event_sum(s->mem, event), events + 2);
	stand_end(s, state, free);
}

/* The number of failures that had outcome @outcome. */
static u64 counted(const struct memory *mem, enum poison_outcome outcome)
{
	switch (outcome) {
	case POISON_RECOVERED: return mm_event_sum(mem, EV_FAILURE_RECOVERED);
	case POISON_DELAYED: return mm_event_sum(mem, EV_FAILURE_DELAYED);
	case POISON_IGNORED: return mm_event_sum(mem, EV_FAILURE_IGNORED);
	default: return 0;
	}
}

static u64 counted_all(const struct memory *mem)
{
	return counted(mem, POISON_RECOVERED) + counted(mem, POISON_DELAYED) +
	    counted(mem, POISON_IGNORED);
}

/* The state of the page, that is of its head; an offline page has none, which is 0. */
static enum page_state state_now(const struct stand *s)
{
	bool online = pageblock_state(pageblock_of(s->mem, s->pfn)) == PB_ONLINE;

	return online ? word_state(block_word(s->mem, page_head(s->mem, s->pfn))) : PG_TAIL;
}

/* The result of a soft offline of a page that is flagged. */
static int softly(const struct stand *s)
{
	if (pageblock_state(pageblock_of(s->mem, s->pfn)) != PB_ONLINE)
		return -ENXIO;
	return is_retired(s->mem, s->pfn) ? 0 : -EBUSY;
}

static void try_hard(struct stand *s, const struct page_in_state *state, unsigned long free)
{
	bool marks = state->outcome != POISON_FAILED;
	struct poison_result res;
	struct ktest *t = s->t;
	unsigned long before;
	u64 same, all;

	if (!stand_begin(s, state))
		return;
	before = nr_poisoned(s->mem);
	same = counted(s->mem, state->outcome) + marks;
	all = counted_all(s->mem) + marks;
	EXPECT_EQ(t, mem_memory_failure(s->mem, s->pfn, 0, &res), state->hard);
	EXPECT_EQ(t, res.outcome, state->outcome);
	EXPECT_EQ(t, counted(s->mem, state->outcome), same);
	EXPECT_EQ(t, counted_all(s->mem), all);
	expect_poisoned(t, s->mem, before + marks);
	if (marks) {
		EXPECT(t, is_flagged(s->mem, s->pfn));
		EXPECT_EQ(t, mem_memory_failure(s->mem, s->pfn, 0, &res), -EHWPOISON);
		/* A page whose failure was delayed may be in transit still. */
		EXPECT_EQ(t, res.outcome,
		    state->outcome == POISON_DELAYED ? POISON_DELAYED : POISON_FAILED);
		expect_poisoned(t, s->mem, before + 1);
		/* A second failure of the page is not counted. */
		EXPECT_EQ(t, counted_all(s->mem), all);
		EXPECT_EQ(t, res.state, state_now(s));
		EXPECT_EQ(t, mem_soft_offline_page(s->mem, s->pfn), softly(s));
		expect_poisoned(t, s->mem, before + 1);
	}
	EXPECT_EQ(t, mem_unpoison_page(s->mem, s->pfn), state->unpoison);
	expect_poisoned(t, s->mem, state->unpoison ? before + marks : 0);
	stand_end(s, state, free);
}

void try_state(struct ktest *t, struct memory *mem, const struct page_in_state *state)
{
	struct stand s = {.t = t, .mem = mem};
	unsigned long free;

	if (!mem)
		return;
	free = memory_free_pages(mem);
	try_soft(&s, state, free);
	try_hard(&s, state, free);
	/* Unpoison is refused if there was no failure. */
	if (stand_begin(&s, state)) {
		if (nr_poisoned(mem) == 0)
			EXPECT_EQ(t, mem_unpoison_page(mem, s.pfn),
			    pfn_valid_in(mem, s.pfn) ? -EINVAL : -ENXIO);
		stand_end(&s, state, free);
	}
}
