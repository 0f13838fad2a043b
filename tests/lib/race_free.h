/* SPDX-License-Identifier: MIT */
/*
 * race_free.h: an instance of the free path that a test can hold between two of its steps.
 *
 * The file that includes this gets its own copy of free_body with scheduling points in it.  A struct
 * race_free says where the copy stops, and what lets it go on: another CPU's call that waits for this
 * one (which it cannot take, its interrupts being off), or the test.  So no order depends on time.
 */
#ifndef QUARRY_TESTS_RACE_FREE_H
#define QUARRY_TESTS_RACE_FREE_H

#include <quarry/ktest.h>

/* Turns of a wait before it counts as failed: seconds, where the right answer takes microseconds. */
#define RACE_TURNS (1u << 25)

struct race_free {
	struct memory *mem;
	struct page *page;
	unsigned order;
	const char *point;  /* the scheduling point to stop at */
	bool until_call;    /* go on as soon as another CPU's call waits for this one */
	u32 held;           /* a: it has stopped */
	u32 called;         /* a: a call waited while it was held */
	u32 release;        /* a: go on in any case */
	u32 gave_up;        /* a: neither came */
	bool cached;        /* the page went into the cache */
	int err;            /* of the slow free, if it did not */
};

/* The one free under way; its hook runs in the thread that set it. */
static struct race_free *race_now;

static inline bool race_wait(const u32 *flag)
{
	unsigned turn;

	for (turn = 0; turn < RACE_TURNS; turn++) {
		if (load_acquire(flag))
			return true;
		cpu_relax();
	}
	return false;
}

static inline void race_free_point(const char *name)
{
	struct race_free *r = race_now;
	unsigned turn;

	if (strcmp(name, r->point) != 0)
		return;
	store_release(&r->held, 1u);
	for (turn = 0; turn < RACE_TURNS; turn++) {
		if (smp_call_pending()) {
			store_release(&r->called, 1u);
			if (r->until_call)
				return;
		}
		if (load_acquire(&r->release))
			return;
		cpu_relax();
	}
	store_release(&r->gave_up, 1u);
}

#undef SCHED_POINT
#define SCHED_POINT(name) race_free_point(name)
#include "mm/pcp_body.h"

/* On the CPU that shall be held. */
static inline void race_free_run(void *arg)
{
	struct race_free *r = arg;

	race_now = r;
	r->cached = free_body(r->mem, false, r->page, r->order);
	if (!r->cached)
		r->err = mem_free_pages(r->mem, r->page, r->order);
}

/* Start it on @cpu and wait until it is held. */
static inline bool race_free_start(struct race_free *r, unsigned cpu)
{
	ktest_start(cpu, race_free_run, r);
	return race_wait(&r->held);
}

/* Let it go on, if it has not already, and wait for its end. */
static inline void race_free_end(struct ktest *t, struct race_free *r, unsigned cpu)
{
	store_release(&r->release, 1u);
	ktest_join(cpu);
	EXPECT_EQ(t, r->gave_up, 0);
	EXPECT_EQ(t, r->err, 0);
}

#endif
