/* SPDX-License-Identifier: MIT */
/* share_inline.h: the work on shares at each switch of threads; sched_share.c explains it. */
#ifndef KERNEL_SHARE_INLINE_H
#define KERNEL_SHARE_INLINE_H

#include "runq.h"

/* The time of a turn, a full tick.  A turn cut shorter than SHORT_NS is continued later. */
#define TURN_NS  10000000ULL
#define SHORT_NS (TURN_NS / 2)

static inline struct share *share_last(const struct runq *rq) REQUIRES(rq->lock)
{
	return STAILQ_EMPTY(&rq->ready)
	    ? NULL
	    : container_of(rq->ready.stqh_last, struct share, link.stqe_next);
}

static inline void share_list_last(struct runq *rq, struct share *s) REQUIRES(rq->lock)
{
	STAILQ_INSERT_TAIL(&rq->ready, s, link);
	s->early = false;
}

/* @t, of @s, waits from here on, but does not belong to the round that is under way. */
static inline void share_append(struct runq *rq, struct share *s, struct thread *t)
    REQUIRES(rq->lock)
{
	t->round = rq->round;
	rq->nr_ready++;
	STAILQ_INSERT_TAIL(&s->threads, t, link);
}

/* Queue @t, which ran until now, again.  If not @preempted, @t has yielded the rest of its turn. */
static inline void runq_put_back(struct runq *rq, struct thread *t, bool preempted)
    REQUIRES(rq->lock)
{
	struct share *s = t->share;
	bool listed = !STAILQ_EMPTY(&s->threads);

	if (unlikely(preempted && runq_goes_on(rq, t)))
		return;
	share_append(rq, s, t);
	if (likely(!listed))
		share_list_last(rq, s);
}

/* @t no longer waits.  The caller lists the share of @t again, or takes the share off its list. */
static inline void share_taken(struct runq *rq, struct thread *t) REQUIRES(rq->lock)
{
	rq->nr_ready--;
	if (t->round != rq->round) {
		t->round = rq->round;
		rq->turns_left--;
	}
}

/* Take the thread that runs next off the queue; NULL: none. */
static inline struct thread *runq_take(struct runq *rq) REQUIRES(rq->lock)
{
	struct share *s = STAILQ_FIRST(&rq->first);
	struct thread *t;

	rq->early = s != NULL;
	if (s) {
		STAILQ_REMOVE_HEAD(&rq->first, link);
	} else {
		s = STAILQ_FIRST(&rq->ready);
		if (!s)
			return NULL;
		STAILQ_REMOVE_HEAD(&rq->ready, link);
		/*
		 * The ring has gone round when its last share begins a turn.  An interrupted turn
		 * that continues does not count: else the share that interrupted it would get its
		 * time before its turn again and again.
		 */
		if (unlikely(s->resumes)) {
			s->resumes = false;
			/* The shares behind it have left: the ring is complete with this turn. */
			if (s == rq->ring_last)
				rq->ring_last = NULL;
		} else {
			s->turn_ns = 0;
			if (s == rq->ring_last || !rq->ring_last) {
				rq->ring++;
				rq->ring_last = share_last(rq);
			}
		}
	}
	t = STAILQ_FIRST(&s->threads);
	STAILQ_REMOVE_HEAD(&s->threads, link);
	share_taken(rq, t);
	/* The task's other threads wait for its next turn. */
	if (unlikely(STAILQ_FIRST(&s->threads)))
		share_list_again(rq, s);
	return t;
}

/* The running thread's turn ends.  If no thread of the round still waits, begin the next round. */
static inline void runq_end_turn(struct runq *rq, u64 now) REQUIRES(rq->lock)
{
	if (rq->turns_left)
		return;
	WRITE_ONCE(rq->had_turn, rq->round_began);
	rq->round_began = now;
	rq->round++;
	rq->turns_left = rq->nr_ready;
}

#endif
