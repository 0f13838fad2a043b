/* SPDX-License-Identifier: MIT */
/*
 * patience.c: how long it is tried to empty a range: deadlines, turns of all threads, pauses
 * between passes.
 *
 * Owns:       nothing; struct patience is its caller's.
 * Locks:      none; nothing is held while it waits.
 * Invariants: a deadline is a moment of one clock, which stepping through a race may move.
 * Tests:      patience, offline_stall, offline_bounds.
 *
 * An allocated page that no owner has made movable may still be in transit to one, held by
 * a thread that waits for its turn, or whose CPU stands still while the machine under it runs
 * another.  That a page stays says something only if all who may have it could have gone on: so
 * what counts is not time but turns of all threads.  The deadline is the bound where they do not
 * come.
 */
#include "mm/isolate.h"
#include <quarry/sched_point.h>

/*
 * No progress is judged over this time, in which every thread on every CPU has had at least so many
 * turns.
 */
#define STUCK_NS    200000000ULL
#define STUCK_TURNS 5
/*
 * So many passes in a row that changed nothing, and then each waits, twice as long as the one
 * before.
 */
#define EAGER_PASSES       8
#define BACK_OFF_MIN       1000000ULL
#define BACK_OFF_DOUBLINGS 4u

/* Patience is measured by it; stepping through a race moves it. */
static u64 clock_ns(void)
{
	return sched_time(arch_clock_ns());
}

u64 deadline_from_now(u64 ns)
{
	u64 now = clock_ns();

	return ns > ~0ULL - now ? ~0ULL : now + ns;
}

bool deadline_past(u64 deadline)
{
	return clock_ns() >= deadline;
}

void patience_begin(struct patience *p)
{
	u64 now = clock_ns();

	*p = (struct patience){.progress = now, .counted = now};
}

bool patience_over(struct patience *p)
{
	if (threads_had_turn(p->counted)) {
		p->counted = clock_ns();
		p->stuck++;
	}
	return p->stuck >= STUCK_TURNS && clock_ns() - p->progress >= STUCK_NS;
}

void patience_wait(struct patience *p)
{
	unsigned fruitless = ++p->fruitless;

	if (fruitless <= EAGER_PASSES)
		thread_yield();
	else
		thread_sleep(BACK_OFF_MIN << MIN(fruitless - EAGER_PASSES - 1, BACK_OFF_DOUBLINGS));
}
