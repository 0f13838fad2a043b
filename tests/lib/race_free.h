/* SPDX-License-Identifier: MIT */
/*
 * race_free.h: an instance of the free path that a test can hold between two of its steps.
 *
 * race_free.c has its own copy of free_body with scheduling points in it.  A struct race_free
 * sets where the copy stops, and what releases it: another CPU's call that waits for this one
 * (which cannot serve it, its interrupts being off), or the test.  So no order depends on time.
 */
#ifndef QUARRY_TESTS_RACE_FREE_H
#define QUARRY_TESTS_RACE_FREE_H

#include "tests/lib/wait_help.h"
#include <quarry/ktest.h>

struct race_free {
	struct memory *mem;
	struct page *page;
	unsigned order;
	const char *point; /* the scheduling point to stop at */
	bool until_call;   /* go on as soon as another CPU's call waits for this one */
	u32 held;          /* a: it has stopped */
	u32 called;        /* a: a call waited while it was held */
	u32 release;       /* a: go on in any case */
	u32 gave_up;       /* a: neither came */
	bool cached;       /* the page went into the cache */
	int err;           /* of the slow free, if it did not */
};

/*
 * A page of zone MOVABLE for @race to free. Every CPU may cache two such pages, and all caches are
 * empty.
 */
void race_free_page(struct ktest *t, struct race_free *race);
/* The same in a new memory, for two CPUs at least; false: the test is skipped or has failed. */
bool race_free_prepare(struct ktest *t, struct race_free *race);

/* Start it on @cpu and wait until it is held. */
bool race_free_start(struct race_free *r, unsigned cpu);

/* Release it, if it still waits, and wait for its end. */
void race_free_end(struct ktest *t, struct race_free *r, unsigned cpu);

#endif
