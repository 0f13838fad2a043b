/* SPDX-License-Identifier: MIT */
/*
 * race_free.h: an instance of the free path that a test can hold between two of its steps.
 *
 * race_free.c has its own copy of free_body with scheduling points in it. A struct race_free sets
 * where the copy stops. The copy goes on when another CPU's call waits for this CPU, or when the
 * test releases it. (This CPU cannot serve the call: its interrupts are off.) So the order of the
 * steps does not depend on time.
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
	bool until_call;   /* go on as soon as another CPU's call waits for this CPU */
	u32 held;          /* atomic: the copy has stopped */
	u32 called;        /* atomic: a call waited while the copy was held */
	u32 release;       /* atomic: go on in any case */
	u32 gave_up;       /* atomic: neither a call nor the release came */
	bool cached;       /* the page went into the cache */
	int err;           /* result of mem_free_pages, if not cached */
};

/*
 * A page of zone MOVABLE for @race to free. Every CPU may cache two such pages, and all caches are
 * empty.
 */
void race_free_page(struct ktest *t, struct race_free *race);
/*
 * As race_free_page, in a new memory, for two CPUs at least; false: the test is skipped or has
 * failed.
 */
bool race_free_prepare(struct ktest *t, struct race_free *race);
/* Start @r on @cpu and wait until it is held. */
bool race_free_start(struct race_free *r, unsigned cpu);
/* Release @r, if it still waits, and wait for its end. */
void race_free_end(struct ktest *t, struct race_free *r, unsigned cpu);

#endif
