/* SPDX-License-Identifier: MIT */
/*
 * sched_share.c: turns on a CPU: first among tasks, then among a task's threads.
 *
 * The ready threads of one task make up its share of the CPU; a kernel thread is a share of its
 * own.  Shares take turns in a ring, and in its turn a share runs the first of its threads.  So a
 * task with many threads gets as much time as a task with few.
 *
 * A thread that mostly sleeps need not wait for a turn.  A share that becomes ready by a wake-up
 * goes first (rq->first), as long as it has run less than a turn's time in this way since the ring
 * last went round.  So a share that sleeps often gets at most three turns where others get one.  A
 * turn that the tick ends too early, because another thread used the beginning of its time,
 * continues later: the share keeps its place, and the ring has not gone round meanwhile.  The
 * threads of a task that is ending go first too, within the same bound.
 *
 * Owns:       the lists of a run queue; struct share; the rounds of turns.
 * Locks:      runq.lock, held by the caller.
 * Invariants: a share is on one of the lists exactly while it has ready threads.
 *             turns_left counts the threads that were ready when the round began and have not run
 *             yet.
 * Tests:      share, share_step, tests/qemu/test_fair.py.
 */
#include "share_inline.h"

void share_init(struct share *s)
{
	*s = (struct share){.ring = 0};
	STAILQ_INIT(&s->threads);
}

void runq_lists_init(struct runq *rq)
{
	STAILQ_INIT(&rq->first);
	STAILQ_INIT(&rq->ready);
}

/* Take @s off its list, from any place; share_inline.h takes only the first share off a list. */
static void unlist(struct runq *rq, struct share *s) REQUIRES(rq->lock)
{
	if (s->early)
		STAILQ_REMOVE(&rq->first, s, share, link);
	else
		STAILQ_REMOVE(&rq->ready, s, share, link);
	if (rq->ring_last == s)
		rq->ring_last = share_last(rq);
	s->resumes = false;
}

/*
 * Does a share other than @s have its turn now? That share keeps its turn even if @s interrupts it,
 * so the ring is not complete.
 */
static bool in_turn(const struct runq *rq, const struct share *s) REQUIRES(rq->lock)
{
	const struct thread *t = rq->running;

	return t && t != rq->idle && !rq->early && t->share != s;
}

/* Does the share have time left to run before its turn? */
static bool may_go_first(struct runq *rq, struct share *s) REQUIRES(rq->lock)
{
	/* If no share has a turn or waits for one, the ring is complete. */
	if (!STAILQ_FIRST(&rq->ready) && !in_turn(rq, s))
		rq->ring++;
	if (s->ring != rq->ring) {
		s->ring = rq->ring;
		s->early_ns = 0;
	}
	return s->early_ns < TURN_NS;
}

void runq_insert(struct runq *rq, struct thread *t, bool woken)
{
	struct share *s = t->share;
	bool listed = !STAILQ_EMPTY(&s->threads);

	share_append(rq, s, t);
	if (listed)
		return;
	if (woken && may_go_first(rq, s)) {
		STAILQ_INSERT_TAIL(&rq->first, s, link);
		s->early = true;
	} else {
		share_list_last(rq, s);
	}
}

/*
 * As in runq_take: no share is listed, so a turn that begins here also begins a new turn of the
 * ring.
 */
void runq_pass(struct runq *rq, struct thread *t, u64 now)
{
	struct share *s = t->share;

	CHECKED_ASSERT(!rq->nr_ready && !rq->turns_left);
	rq->early = may_go_first(rq, s);
	if (!rq->early) {
		s->turn_ns = 0;
		if (s == rq->ring_last || !rq->ring_last) {
			rq->ring++;
			rq->ring_last = NULL;
		}
	}
	runq_end_turn(rq, now);
	t->round = rq->round;
}

void share_list_again(struct runq *rq, struct share *s)
{
	/* The share of an ending task may also go first: its system calls may be long. */
	if (READ_ONCE(s->ends) && may_go_first(rq, s)) {
		STAILQ_INSERT_TAIL(&rq->first, s, link);
		s->early = true;
	} else {
		share_list_last(rq, s);
	}
}

void runq_charge(struct runq *rq, struct thread *t, u64 now)
{
	if (rq->early)
		t->share->early_ns += now - rq->since;
	else
		t->share->turn_ns += now - rq->since;
}

bool runq_goes_on(struct runq *rq, struct thread *t)
{
	struct share *s = t->share;

	if (rq->early || s->turn_ns >= SHORT_NS)
		return false;
	t->round = rq->round;
	rq->nr_ready++;
	if (!STAILQ_EMPTY(&s->threads))
		unlist(rq, s);
	/* The thread also goes first among its task's threads. */
	STAILQ_INSERT_HEAD(&s->threads, t, link);
	STAILQ_INSERT_HEAD(&rq->ready, s, link);
	s->early = false;
	s->resumes = true;
	return true;
}

void runq_remove(struct runq *rq, struct thread *t)
{
	struct share *s = t->share;

	STAILQ_REMOVE(&s->threads, t, thread, link);
	share_taken(rq, t);
	if (STAILQ_EMPTY(&s->threads))
		unlist(rq, s);
}

struct thread *runq_find(const struct runq *rq, bool (*fits)(const struct thread *t))
{
	const struct share *s;
	struct thread *t;

	STAILQ_FOREACH(s, &rq->first, link)
		STAILQ_FOREACH(t, &s->threads, link)
			if (fits(t))
				return t;
	STAILQ_FOREACH(s, &rq->ready, link)
		STAILQ_FOREACH(t, &s->threads, link)
			if (fits(t))
				return t;
	return NULL;
}
