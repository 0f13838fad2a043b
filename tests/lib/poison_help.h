/* SPDX-License-Identifier: MIT */
/*
 * poison_help.h: helpers of the suites of broken pages: checks of their flags and counts, and a
 * check that none of them is allocated.
 */
#ifndef QUARRY_TESTS_POISON_HELP_H
#define QUARRY_TESTS_POISON_HELP_H

#include "tests/lib/mm_test.h"
#include <quarry/poison.h>

/* Flagged pages, according to the counts. */
unsigned long nr_poisoned(const struct memory *mem);
/* Flagged pages, counted with mem_poisoned_next. */
unsigned long nr_flagged(struct memory *mem);

bool is_flagged(const struct memory *mem, pfn_t pfn);
/* Flag a page of order 0 in use, as a memory_failure does that judged it a moment ago. */
void doom_page(struct memory *mem, pfn_t pfn);

bool is_retired(const struct memory *mem, pfn_t pfn);
/* Exactly @nr pages are flagged, by counts and by flags, and check_memory finds no damage. */
void expect_poisoned(struct ktest *t, struct memory *mem, unsigned long nr);
/* Take every free page of the zone of @pfn, also below the watermarks: @pfn is not among them. */
void expect_never_allocated(struct ktest *t, struct memory *mem, pfn_t pfn);

/* ---- one page in one state ---- */

/* A page that is brought into a state. */
struct stand {
	struct ktest *t;
	struct memory *mem;
	pfn_t pfn;         /* the page */
	struct page *page; /* head of its block, if the block is in use */
	pfn_t block;
	struct page *other[1]; /* another page, taken so that the page cannot merge */
	unsigned order;
	void *scene;
};

struct page_in_state {
	bool (*make)(struct stand *s);
	void (*release)(struct stand *s); /* releases the page; NULL: it has no owner */
	int soft, hard;
	enum poison_outcome outcome; /* outcome of the failure */
	int unpoison;                /* result of unpoison right after the failure */
};

void try_state(struct ktest *t, struct memory *mem, const struct page_in_state *state);

#endif
