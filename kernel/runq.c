/* SPDX-License-Identifier: MIT */
/*
 * runq.c: the run queues: adding a thread, and sending its CPU a kick.
 *
 * Owns:       the array of run queues.
 * Locks:      runq.lock (RANK_SCHED), irqs off, which the callers hold.
 * Invariants: those of sched.c.
 * Tests:      task_cpu, wait, silence_sched, tests/fiber/explore_threads.c,
 *             tests/qemu/test_fair.py.
 */
#include "share_inline.h"
#include <quarry/machine.h>
#include <quarry/sched.h>
#include <quarry/smp.h>

struct runq *runqs;

void runq_add(struct runq *rq, struct thread *t, bool woken)
{
	t->on_queue = true;
	runq_insert(rq, t, woken);
	if (rq->running != rq->idle)
		return;
	WRITE_ONCE(cpus[t->cpu]->need_resched, 1u);
	if (t->cpu != arch_cpu_id()) {
		counter_add(&smp_stats.kicks, 1);
		arch_ipi_kick(t->cpu);
	}
}

void runq_wake(struct runq *rq, struct thread *t)
{
	if (READ_ONCE(t->state) != THREAD_SLEEPING)
		return;
	runq_end_sleep(rq, t);
	if (!t->on_queue)
		runq_add(rq, t, true);
}

/* ---- queries ---- */

unsigned sched_load(unsigned cpu)
{
	const struct runq *rq = &runqs[cpu];

	return READ_ONCE(rq->nr_ready) + (READ_ONCE(rq->running) != rq->idle);
}

unsigned sched_threads(unsigned cpu)
{
	return READ_ONCE(runqs[cpu].nr_threads);
}
