/* SPDX-License-Identifier: MIT */
/*
 * poison_states.h: one page in one state, and the results of soft offline, hard failure and
 * unpoison on it, for the two suites that have a table of states.
 */
#ifndef QUARRY_TESTS_POISON_STATES_H
#define QUARRY_TESTS_POISON_STATES_H

#include "tests/lib/poison_help.h"

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
