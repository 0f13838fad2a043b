/* SPDX-License-Identifier: MIT */
/*
 * fiber_choose.c: the choice of the CPU that runs next, by the classes of fiber.h.
 *
 * Owns:       the number of events, and of passes of waiting since the last event.
 * Locks:      none: one OS thread.
 * Invariants: the choice depends on the run so far and on fiber_order alone, so the same run is
 *             the same each time.
 */
#include "fiber_cpu.h"

#define TURN_NS 1000000 /* time that a pass of waiting takes when no CPU has work */

static u64 progress, turns;
static unsigned last_turn; /* while all wait: the CPU that was chosen last */

u64 fiber_patience = 200000;
void (*fiber_on_stuck)(void);
const u8 *fiber_order;

void fiber_choose_begin(void)
{
	progress = turns = 0;
	last_turn = 0;
}

u64 fiber_events(void)
{
	return progress;
}

void fiber_progress(void)
{
	progress++;
	turns = 0;
}

static bool takes_interrupt(const struct thread *t)
{
	return t->cpu.wanted && !t->cpu.irqs_off && !t->cpu.irq_depth && t->state != FIBER_NONE;
}

static struct thread *first_ready(void)
{
	unsigned i;

	for (i = 0; i < FIBER_CPUS; i++) {
		struct thread *t = &fibers[fiber_order ? fiber_order[i] : i];

		if (t->state == FIBER_READY && !t->preempted)
			return t;
	}
	return NULL;
}

/*
 * The next spinning CPU, after the CPU that checked last.  @any: accept a CPU without a new event,
 * and a CPU that yielded.
 */
static struct thread *next_spinning(bool any)
{
	unsigned i;

	for (i = 1; i <= FIBER_CPUS; i++) {
		struct thread *t = &fibers[(last_turn + i) % FIBER_CPUS];
		bool yielded = any && t->state == FIBER_YIELDED;

		if (!t->preempted &&
		    (yielded || (t->state == FIBER_SPINS && (any || t->seen != progress)))) {
			last_turn = t->cpu.id;
			return t;
		}
	}
	return NULL;
}

static struct thread *first_preempted(void)
{
	struct thread *best = NULL;
	unsigned i;

	for (i = 0; i < FIBER_CPUS; i++)
		if (fibers[i].preempted && (!best || fibers[i].preempted_at < best->preempted_at))
			best = &fibers[i];
	return best;
}

/* The CPU that waits for all others, if those below it are idle or parked; else NULL. */
static struct thread *all_done(void)
{
	struct thread *waits = NULL;
	unsigned i;

	for (i = 0; i < FIBER_CPUS; i++)
		if (fibers[i].state == FIBER_WAITS_ALL)
			waits = &fibers[i];
	for (i = 0; waits && i < FIBER_CPUS; i++)
		if (i < waits->cpu.id && fibers[i].state != FIBER_IDLE &&
		    fibers[i].state != FIBER_PARKED)
			return NULL;
	return waits;
}

struct thread *fiber_choose(void)
{
	struct thread *t;
	unsigned i;

	for (i = 0; i < FIBER_CPUS; i++)
		if (takes_interrupt(&fibers[i]))
			return &fibers[i];
	t = first_ready();
	if (!t)
		t = next_spinning(false);
	if (!t)
		t = all_done();
	if (!t) {
		t = first_preempted();
		if (t)
			t->preempted = false;
	}
	if (t)
		return t;
	if (++turns > fiber_patience)
		fiber_on_stuck();
	fiber_clock_advance(TURN_NS);
	t = next_spinning(true);
	if (!t)
		fiber_on_stuck();
	return t;
}

bool fiber_can_run(unsigned cpu)
{
	const struct thread *t = &fibers[cpu];

	return &t->cpu != fiber_this &&
	    (t->preempted || t->state == FIBER_READY || t->state == FIBER_YIELDED ||
	        (t->state == FIBER_SPINS && t->seen != progress));
}
