/* SPDX-License-Identifier: MIT */
/* runq.h: run queues, shared by sched.c (which thread runs) and sched_move.c (where). */
#ifndef KERNEL_RUNQ_H
#define KERNEL_RUNQ_H

#include "thread.h"
#include <quarry/port.h>

/* Letters behind fields: a atomic; c constant; o only this CPU. */
struct runq {
	struct spinlock lock;
	STAILQ_HEAD(, share) first;  /* lock: woken shares, which run before their turn */
	STAILQ_HEAD(, share) ready;  /* lock: shares waiting for their turn */
	TAILQ_HEAD(, thread) alarms; /* lock: threads sleeping with a deadline */
	struct thread *running;      /* lock */
	struct thread *idle;         /* c */
	struct thread *dead;         /* o: to be reaped after this CPU has left its stack */
	struct thread *leaver;       /* o: to be moved after this CPU has left its stack */
	u32 leaving;                 /* a: this CPU must get rid of its threads */
	u32 closed;                  /* lock: gets no threads; has none, save perhaps was */
	u32 nr_ready;                /* lock, read racily */
	u32 nr_threads;              /* a: threads whose field cpu names this CPU */
	struct thread *was;          /* a: thread whose stack this CPU may be on; set under lock */
	u64 ticked;                  /* a: time of this CPU's last tick */
	u32 watched;                 /* o: the CPU that this CPU checked at its last tick */
	u64 since;                   /* lock, as arch_clock_ns: when running began to run */
	bool early;                  /* lock: the running thread was taken from the list `first' */
	u32 ring;                    /* lock: completed turns of the ring of shares */
	struct share *ring_last;     /* lock: the share whose turn completes the ring; NULL: any */
	u32 round;                   /* lock: number of this round of thread turns */
	u32 turns_left;              /* lock: threads of this round still waiting for their turn */
	u64 round_began;             /* lock, as arch_clock_ns: start of this round */
	u64 had_turn;                /* a: start of the last completed round */
	struct thread idle_thread;
} __attribute__((aligned(64)));

extern struct runq *runqs; /* one for each CPU */

/* May threads be queued on @cpu? */
static inline bool takes_threads(unsigned cpu)
{
	return cpumask_test(cpu_online_mask, cpu) && !READ_ONCE(runqs[cpu].leaving);
}

/* Has the CPU no thread to run? */
static inline bool rests(const struct runq *rq) REQUIRES(rq->lock)
{
	return rq->running == rq->idle && !rq->nr_ready;
}

/*
 * May @t sleep and pass the CPU to the sleeping @to without putting @to on a list? Only if no other
 * thread waits for this CPU: then the lists would choose @to, too.
 */
static inline bool may_pass(const struct runq *rq, const struct thread *t, const struct thread *to)
    REQUIRES(rq->lock)
{
	return READ_ONCE(to->cpu) == t->cpu && !to->on_queue &&
	    !(READ_ONCE(rq->leaving) | rq->closed | rq->nr_ready) &&
	    READ_ONCE(to->state) == THREAD_SLEEPING && READ_ONCE(t->state) == THREAD_SLEEPING;
}

/* ---- sched_share.c ---- */

void runq_lists_init(struct runq *rq);
/* Queue @t, which is not queued; @woken: @t was asleep. */
void runq_insert(struct runq *rq, struct thread *t, bool woken) REQUIRES(rq->lock);
/* Take @t, which is queued, off the queue. */
void runq_remove(struct runq *rq, struct thread *t) REQUIRES(rq->lock);
/* The first queued thread for which fits() is true, or NULL. */
struct thread *runq_find(const struct runq *rq, bool (*fits)(const struct thread *t))
    REQUIRES(rq->lock);
/* A thread of @s was taken, and @s has more threads: put @s back on a list. */
void share_list_again(struct runq *rq, struct share *s) REQUIRES(rq->lock);
/* Charge the running thread @t for the time until @now. */
void runq_charge(struct runq *rq, struct thread *t, u64 now) REQUIRES(rq->lock);
/*
 * On a queue without threads: the same effect on shares and rounds as runq_insert of @t, woken,
 * then runq_end_turn and runq_take.
 */
void runq_pass(struct runq *rq, struct thread *t, u64 now) REQUIRES(rq->lock);
/*
 * Queue the preempted @t to continue its turn, if less than SHORT_NS of the turn is used.  False:
 * not queued.
 */
bool runq_goes_on(struct runq *rq, struct thread *t) REQUIRES(rq->lock);

/* ---- runq.c ---- */

/* @t, of this queue, sleeps no more. */
static inline void runq_end_sleep(struct runq *rq, struct thread *t) REQUIRES(rq->lock)
{
	WRITE_ONCE(t->state, (u32)THREAD_RUNNABLE);
	if (t->has_alarm)
		TAILQ_REMOVE(&rq->alarms, t, alarm_link);
	t->has_alarm = false;
}

/* Queue @t on @rq.  An idle CPU gets a kick: it may be halted, or about to halt. */
void runq_add(struct runq *rq, struct thread *t, bool woken) REQUIRES(rq->lock);
/* Make @t, of this queue, RUNNABLE if it sleeps. */
void runq_wake(struct runq *rq, struct thread *t) REQUIRES(rq->lock);

/* ---- sched_move.c ---- */

/*
 * Put @t on the queue of CPU @where; on that of the best CPU, if @where is negative or takes no
 * threads.  The caller owns @t: on_queue is set, @t is on no queue, and the CPU has left its stack.
 * Wakers that meet @t in transit see on_queue and do nothing.  If the chosen CPU closes its
 * queue meanwhile, another CPU is chosen.  irqs off.
 */
void sched_place(struct thread *t, int where);
/*
 * If threads wait here, move the first thread not bound to a CPU to an idle CPU.  No tick comes
 * in the middle of a switch, so no CPU still uses a queued thread's stack.
 */
void sched_balance(struct runq *rq);
/*
 * At each tick, irqs off: check one other CPU, in rotation; if it stands still, take its waiting
 * threads.
 */
void sched_watch(struct runq *self, u64 now);
/*
 * Move all threads off this CPU and close its queue.  Context: the idle thread, irqs off, leaving
 * set.  Sleepers with a deadline are woken; they check their conditions and sleep again on their
 * new CPU.  Other sleepers keep their CPU until they are woken (thread_wake).
 */
void sched_hand_over(struct runq *rq);

#endif
