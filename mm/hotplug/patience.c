/* SPDX-License-Identifier: MIT */
/*
 * patience.c: how long an operation tries to empty a range: deadlines, turns of threads, pauses.
 *
 * Owns:       nothing; struct patience is its caller's.
 * Locks:      none; nothing is held while it waits.
 * Invariants: all times are of one clock, which a test that steps through a race may move.
 * Tests:      patience, offline_stall, offline_bounds.
 *
 * An allocated page that no owner has made movable may still be in transit to one.  The thread that
 * holds it may be waiting for its turn, or its CPU may stand still while the host runs another one.
 * So a page counts as stuck only after all threads could go on: turns of all threads are counted,
 * not time alone.  If threads get no turns, the deadline ends the wait.
 */
#include "mm/hotplug/isolate.h"
#include <quarry/sched_point.h>

/* A range is stuck after this time without a change, if all threads had so many turns in it. */
#define STUCK_NS 200000000ULL
unsigned patience_turns = 5;
/* After so many passes without a change come pauses, each twice as long as the last, to a limit. */
#define EAGER_PASSES       8
#define BACK_OFF_MIN       1000000ULL
#define BACK_OFF_DOUBLINGS 4u

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

bool patience_spent(struct patience *p, u64 now, bool turned)
{
	if (turned) {
		p->counted = now;
		p->stuck++;
	}
	return p->stuck >= READ_ONCE(patience_turns) && now - p->progress >= STUCK_NS;
}

bool patience_over(struct patience *p)
{
	bool turned = threads_had_turn(p->counted);

	return patience_spent(p, clock_ns(), turned);
}

u64 patience_pause(struct patience *p)
{
	unsigned fruitless = ++p->fruitless;

	return fruitless <= EAGER_PASSES
	    ? 0
	    : BACK_OFF_MIN << MIN(fruitless - EAGER_PASSES - 1, BACK_OFF_DOUBLINGS);
}

void patience_wait(struct patience *p)
{
	u64 ns = patience_pause(p);

	if (ns)
		thread_sleep(ns);
	else
		thread_yield();
}
