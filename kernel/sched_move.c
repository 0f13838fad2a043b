/* SPDX-License-Identifier: MIT */
/*
 * sched_move.c: threads change their CPU: when one is idle, and when one goes down.
 *
 * Owns:       which CPUs take threads (runq.leaving, runq.closed); threads on their way from one queue
 *             to another.
 * Locks:      runq.lock (RANK_SCHED), one at a time, irqs off.
 * Invariants: those of sched.c; a thread is moved only by the CPU it was queued at, and only after that
 *             has left the thread's stack.
 * Tests:      silence_sched, hotplug, hotplug_race, task_cpu.
 */
#include "share_inline.h"
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/port.h>
#include <quarry/sched.h>

/*
 * Longer than any CPU that runs is without a tick: one that rests has one a second.  A CPU that has
 * had none, and switched no threads, for so long stands still: it is deaf, or the machine under it
 * does not run it.
 */
#define STILL_NS 2000000000ULL
/* Threads that one tick takes away from such a CPU. */
#define MAX_TAKEN 64

static bool stands_still(const struct runq *rq, u64 now)
{
	u64 last = MAX(READ_ONCE(rq->ticked), READ_ONCE(rq->since));

	/* Its clock may be a little ahead. */
	return now > last && now - last > STILL_NS;
}

/*
 * The CPU with the fewest threads, of those that take any; nr_cpus: none.  @all: also one that
 * stands still.
 */
static unsigned with_fewest(bool all)
{
	unsigned self = arch_cpu_id(), cpu, best = takes_threads(self) ? self : nr_cpus;
	u64 now = arch_clock_ns();

	for (cpu = nr_cpus; cpu-- > 0;)
		if (takes_threads(cpu) && (all || !stands_still(&runqs[cpu], now)) &&
		    (best == nr_cpus ||
			READ_ONCE(runqs[cpu].nr_threads) < READ_ONCE(runqs[best].nr_threads)))
			best = cpu;
	return best;
}

unsigned sched_choose_cpu(void)
{
	unsigned best = with_fewest(false);

	/* Where a whole machine has stood still, none has had its tick yet. */
	if (best == nr_cpus)
		best = with_fewest(true);
	KASSERT(best < nr_cpus);
	return best;
}

void sched_place(struct thread *t, int where)
{
	struct runq *rq;
	bool placed;

	do {
		bool there = where >= 0 && takes_threads((unsigned)where);
		unsigned cpu = there ? (unsigned)where : sched_choose_cpu();

		rq = &runqs[t->cpu];
		spin_lock(&rq->lock);
		counter_add(&rq->nr_threads, -1);
		WRITE_ONCE(t->cpu, cpu);
		t->share = t->shares ? &t->shares[cpu] : &t->own;
		spin_unlock(&rq->lock);
		rq = &runqs[cpu];
		spin_lock(&rq->lock);
		counter_add(&rq->nr_threads, 1);
		placed = !rq->closed;
		if (placed)
			runq_add(rq, t, false);
		spin_unlock(&rq->lock);
	} while (!placed);
}

/* A CPU that has nothing to do; -1: none.  Racy: one that is chosen twice gets two. */
static int idle_cpu(void)
{
	u64 now = arch_clock_ns();
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (takes_threads(cpu) && !sched_load(cpu) && !stands_still(&runqs[cpu], now))
			return (int)cpu;
	return -1;
}

static bool is_free(const struct thread *t)
{
	return t->home < 0;
}

void sched_balance(struct runq *rq)
{
	int cpu = idle_cpu();
	struct thread *t;

	if (cpu < 0)
		return;
	spin_lock(&rq->lock);
	t = runq_find(rq, is_free);
	if (t)
		runq_remove(rq, t);
	spin_unlock(&rq->lock);
	if (t)
		sched_place(t, cpu);
}

/* ---- from a CPU that stands still ---- */

/* Is its stack saved?  A CPU may stand still in the middle of a switch. */
static bool is_off_stack(const struct thread *t)
{
	return load_acquire(&runqs[t->cpu].was) != t;
}

static bool is_free_off_stack(const struct thread *t)
{
	return is_free(t) && is_off_stack(t);
}

/* Wake those whose time has come: nobody else will.  All, if the CPU shall have none. */
static void wake_overdue(struct runq *rq, u64 now) REQUIRES(rq->lock)
{
	bool all = READ_ONCE(rq->leaving);
	struct thread *t, *following;

	for (t = TAILQ_FIRST(&rq->alarms); t; t = following) {
		following = TAILQ_NEXT(t, alarm_link);
		if (all || t->wake_at <= now)
			runq_wake(rq, t);
	}
}

/*
 * What waits for a CPU that stands still would wait for ever: a reclaim thread, and with it all who
 * need memory; who is next in the line for a mutex.  So whoever is bound to no CPU is taken away;
 * from a CPU that shall have no threads, everybody, and its queue is closed.  The one that it runs
 * stays with it, and so does one whose stack it may be on.  Should it go on, it finds a queue with
 * fewer threads, or closed.  A queue whose lock it has is left alone.
 */
void sched_watch(struct runq *self, u64 now)
{
	unsigned i, cpu = self->watched + 1 < nr_cpus ? self->watched + 1 : 0;
	struct runq *rq = &runqs[cpu];
	struct thread *t;

	self->watched = cpu;
	if (likely(rq == self || !stands_still(rq, now)))
		return;
	for (i = 0; i < MAX_TAKEN; i++) {
		if (READ_ONCE(rq->closed) || !spin_trylock(&rq->lock))
			return;
		if (i == 0)
			wake_overdue(rq, now);
		t = runq_find(rq, READ_ONCE(rq->leaving) ? is_off_stack : is_free_off_stack);
		if (t)
			runq_remove(rq, t);
		else if (READ_ONCE(rq->leaving))
			rq->closed = 1;
		spin_unlock(&rq->lock);
		if (!t)
			return;
		sched_place(t, (int)arch_cpu_id());
	}
}

/* Its idle thread may be halted, another one may run: either way it notices. */
void sched_cpu_leave(unsigned cpu)
{
	store_release(&runqs[cpu].leaving, 1u);
	WRITE_ONCE(cpus[cpu]->need_resched, 1u);
	if (cpu != arch_cpu_id())
		arch_ipi_kick(cpu);
}

void sched_cpu_join(void)
{
	struct runq *rq = &runqs[arch_cpu_id()];
	irqflags_t flags = spin_lock_irqsave(&rq->lock);

	rq->closed = 0;
	WRITE_ONCE(rq->leaving, 0u);
	spin_unlock_irqrestore(&rq->lock, flags);
}

void sched_hand_over(struct runq *rq)
{
	struct thread *t;

	do {
		spin_lock(&rq->lock);
		while ((t = TAILQ_FIRST(&rq->alarms)))
			runq_wake(rq, t);
		t = runq_take(rq);
		if (!t)
			rq->closed = 1;
		spin_unlock(&rq->lock);
		if (t)
			sched_place(t, t->home);
	} while (t);
}
