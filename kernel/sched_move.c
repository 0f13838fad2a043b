/* SPDX-License-Identifier: MIT */
/*
 * sched_move.c: threads change their CPU: when one is idle, and when one goes down.
 *
 * Owns:       which CPUs take threads (runq.leaving, runq.closed); threads on their way from one queue
 *             to another.
 * Locks:      runq.lock (RANK_SCHED), one at a time, irqs off.
 * Invariants: those of sched.c; a thread is moved only by the CPU it was queued at, and only after that
 *             has left the thread's stack.
 * Tests:      tests/test_hotplug.c, tests/test_hotplug_race.c, tests/test_task_cpu.c.
 */
#include "share_inline.h"

unsigned sched_choose_cpu(void)
{
	unsigned self = arch_cpu_id(), cpu, best = takes_threads(self) ? self : nr_cpus;

	for (cpu = nr_cpus; cpu-- > 0;)
		if (takes_threads(cpu) &&
		    (best == nr_cpus ||
			READ_ONCE(runqs[cpu].nr_threads) < READ_ONCE(runqs[best].nr_threads)))
			best = cpu;
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
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (takes_threads(cpu) && !sched_load(cpu))
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
