/* SPDX-License-Identifier: MIT */
/* runq.h: run queues, as sched.c (who runs) and sched_move.c (where) share them. */
#ifndef KERNEL_RUNQ_H
#define KERNEL_RUNQ_H

#include "thread.h"
#include <quarry/port.h>

struct runq {
	struct spinlock lock;
	STAILQ_HEAD(, share) first;  /* lock: have been woken, and need not wait for their turn */
	STAILQ_HEAD(, share) ready;  /* lock: wait for their turn */
	TAILQ_HEAD(, thread) alarms; /* lock: sleep with a deadline */
	struct thread *running;      /* lock */
	struct thread *idle;         /* c */
	struct thread *dead;         /* o: to be reaped once its stack is left */
	struct thread *leaver;       /* o: to be placed elsewhere once its stack is left */
	u32 leaving;                 /* a: this CPU shall have no threads */
	u32 closed;                  /* lock: it has none, and gets none */
	u32 nr_ready;                /* lock, read racily */
	u32 nr_threads;              /* a: whose cpu is this one */
	struct thread *was;          /* a: whose stack this CPU may still be on; set under lock */
	u64 ticked;                  /* a: when this CPU took its last tick */
	u32 watched;                 /* o: the CPU that it looked after at its last tick */
	u64 since;                   /* lock, as arch_clock_ns: the running one runs since then */
	bool early;                  /* lock: it was among the first */
	u32 ring;                    /* lock: times that the ring of shares has gone round */
	struct share *ring_last;     /* lock: the last of this time; NULL: whoever is next */
	u32 round;                   /* lock: number of this round of turns of threads */
	u32 turns_left;              /* lock: threads of this round that have not had their turn yet */
	u64 round_began;             /* lock, as arch_clock_ns: all that were ready then make up the round */
	u64 had_turn;                /* a: the beginning of the last round that has ended */
	struct thread idle_thread;
} __attribute__((aligned(64)));

extern struct runq *runqs; /* one for each CPU */

/* May threads be put on @cpu? */
static inline bool takes_threads(unsigned cpu)
{
	return cpumask_test(cpu_online_mask, cpu) && !READ_ONCE(runqs[cpu].leaving);
}

/* ---- sched_share.c ---- */

void runq_lists_init(struct runq *rq);
/* Queue @t, which is not queued; @woken: it slept. */
void runq_insert(struct runq *rq, struct thread *t, bool woken) REQUIRES(rq->lock);
/* Take @t off the queue, which is queued. */
void runq_remove(struct runq *rq, struct thread *t) REQUIRES(rq->lock);
/* The first queued thread that fits, or NULL. */
struct thread *runq_find(const struct runq *rq, bool (*fits)(const struct thread *t)) REQUIRES(rq->lock);
/* One of its threads has been taken, and it has more. */
void share_list_again(struct runq *rq, struct share *s) REQUIRES(rq->lock);
/* The running thread @t has run until @now. */
void runq_charge(struct runq *rq, struct thread *t, u64 now) REQUIRES(rq->lock);
/* @t, preempted now, has had too little of its turn: it is queued to go on.  False: it is not. */
bool runq_goes_on(struct runq *rq, struct thread *t) REQUIRES(rq->lock);

/* ---- sched.c, sched_move.c ---- */

/* Put @t where it can run.  A CPU that is idle is told: it may be halted, or about to be. */
void runq_add(struct runq *rq, struct thread *t, bool woken) REQUIRES(rq->lock);
/* Make @t, of this queue, RUNNABLE if it sleeps. */
void runq_wake(struct runq *rq, struct thread *t) REQUIRES(rq->lock);
/*
 * Put @t, which is the caller's (on_queue set, on no queue, its stack left), on the queue of CPU @where,
 * or on the best one if that is negative or takes none.  Wakers who meet it on the way find on_queue
 * set and leave it where it is.  Between the two locks the chosen CPU may have closed its queue; then
 * another one is chosen.  irqs off.
 */
void sched_place(struct thread *t, int where);
/*
 * Somebody waits here: give the first who is bound to no CPU to one that is idle.  Whoever is on the
 * queue has been switched away from, for no tick comes in the middle of a switch.
 */
void sched_balance(struct runq *rq);
/* At each tick, irqs off: if another CPU, each in its turn, stands still, take those away that wait for it. */
void sched_watch(struct runq *self, u64 now);
/*
 * Move all threads off this CPU, and close its queue: on the idle thread, irqs off, leaving set.
 * Sleepers with a deadline are woken; they look at their conditions again, and sleep on where they
 * are then.  Other sleepers stay where they are until somebody wakes them (thread_wake).
 */
void sched_hand_over(struct runq *rq);

#endif
