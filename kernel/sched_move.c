/* SPDX-License-Identifier: MIT */
/*
 * sched_move.c: moving threads to another CPU: to an idle one, and off one that goes offline.
 *
 * Owns:       runq.leaving and runq.closed, which say if a CPU takes threads; threads in transit
 *             between queues.
 * Locks:      runq.lock (RANK_SCHED), one at a time, irqs off.
 * Invariants: those of sched.c; only the CPU on whose queue a thread was moves it (except in
 *             sched_watch), and only after leaving the thread's stack.
 * Tests:      silence_sched, hotplug, hotplug_race, task_cpu, tests/qemu/test_fair.py.
 */
#include "share_inline.h"
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/port.h>
#include <quarry/sched.h>
#include <quarry/sched_point.h>

/*
 * Longer than the time between two ticks of any running CPU; an idle one has a tick a second.  A
 * CPU that had no tick and switched no threads for this long stands still: its interrupts are off,
 * or its host does not run it.
 */
#define STILL_NS 2000000000ULL
/* The most threads that one tick takes from such a CPU. */
#define MAX_TAKEN 64

static bool stands_still(const struct runq *rq, u64 now)
{
	u64 last = MAX(READ_ONCE(rq->ticked), READ_ONCE(rq->since));

	/* That CPU's clock may be slightly ahead. */
	return now > last && now - last > STILL_NS;
}

/*
 * The CPU with the fewest threads among those that take threads; nr_cpus: none.  @all: include CPUs
 * that stand still.
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

	/* After the whole machine has stood still, no CPU has had its tick yet. */
	if (best == nr_cpus)
		best = with_fewest(true);
	KASSERT(best < nr_cpus);
	return best;
}

void sched_place(struct thread *t, int where)
{
	struct runq *rq;
	bool placed;

	CHECKED_ASSERT(!arch_irqs_enabled());
	do {
		bool there = where >= 0 && takes_threads((unsigned)where);
		unsigned cpu = there ? (unsigned)where : sched_choose_cpu();

		rq = &runqs[t->cpu];
		spin_lock(&rq->lock);
		counter_add(&rq->nr_threads, -1);
		WRITE_ONCE(t->cpu, cpu);
		t->share = share_of(t);
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

/* An idle CPU; -1: none.  Racy: a CPU that is chosen twice gets two threads. */
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

/* Has the CPU left the stack of @t?  It may stand still in the middle of a switch. */
static bool is_off_stack(const struct thread *t)
{
	return load_acquire(&runqs[t->cpu].was) != t;
}

static bool is_free_off_stack(const struct thread *t)
{
	return is_free(t) && is_off_stack(t);
}

/*
 * Wake the threads whose deadline has passed, since their CPU does not. If the CPU must get rid of
 * its threads, wake all threads that have a deadline.
 */
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
 * A thread that waits on the queue of a CPU that stands still would wait for ever. It may be a
 * reclaim thread, which all allocations wait for, or the next owner of a mutex. So threads that are
 * bound to no CPU are moved away. If the CPU must get rid of its threads, bound threads are moved
 * too, and its queue is closed when none is left to move. Two threads are never moved: the running
 * one, which is not queued; and rq->was, which may be queued while the CPU is still on its stack.
 * A CPU that continues later finds fewer threads on its queue, or finds its queue closed. A queue
 * is skipped if its lock is held.
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

/* The kick works in both cases: the CPU's idle thread may be halted, or another thread may run. */
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

/* ---- queries ---- */

/*
 * Has each thread that was ready at @since had a turn?  On a resting CPU no thread is left waiting.
 */
static bool had_turn(struct runq *rq, u64 since)
{
	irqflags_t flags;
	bool had = READ_ONCE(rq->had_turn) > since;

	if (!had) {
		flags = spin_lock_irqsave(&rq->lock);
		had = rests(rq);
		spin_unlock_irqrestore(&rq->lock, flags);
	}
	return had;
}

bool threads_had_turn(u64 since)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (cpumask_test(cpu_online_mask, cpu) && !had_turn(&runqs[cpu], since))
			return sched_turns(false);
	return true;
}
