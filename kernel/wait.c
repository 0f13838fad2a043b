/* SPDX-License-Identifier: MIT */
/*
 * wait.c: sleeping until a condition holds.
 *
 * Owns:       struct wait_entry; the lists in wait queues.
 * Locks:      waitq.lock (RANK_WAIT), irqs off; run queue locks are taken inside.
 * Invariants: an entry is on the list exactly while its thread is inside sleep_once.
 * Tests:      wait, silence_wait, faults, tests/fiber/explore_threads.c,
 *             tests/qemu/test_hostile.py.
 */
#include "thread.h"
#include <quarry/port.h>
#include <quarry/sched.h>
#include <quarry/sched_point.h>

/*
 * On the stack of the waiting thread; all fields are under the queue's lock.  The entries of a
 * queue are a ring that begins with the oldest.  Programs can make a queue long, so an entry is
 * added and removed without a walk.
 */
struct wait_entry {
	struct thread *thread;
	const void *arg; /* of the condition that the thread waits for */
	struct wait_entry *next, *prev;
};

static void append(struct waitq *wq, struct wait_entry *entry) REQUIRES(wq->lock)
{
	struct wait_entry *first = wq->first;

	entry->next = first ? first : entry;
	entry->prev = first ? first->prev : entry;
	entry->prev->next = entry->next->prev = entry;
	if (!first)
		wq->first = entry;
}

static void remove(struct waitq *wq, const struct wait_entry *entry) REQUIRES(wq->lock)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	if (wq->first == entry)
		wq->first = entry->next != entry ? entry->next : NULL;
}

/*
 * One sleep.  No wake-up is lost.  The thread puts itself on the list and becomes SLEEPING in one
 * hold of the queue's lock, and checks its condition after that.  A waker makes the condition true
 * first and then takes the same lock.  If the waker gets the lock before the thread, the condition
 * is true at the check.  If the waker gets the lock after the thread, it finds the entry and makes
 * the thread RUNNABLE.  Then sched_sleep returns at once; a thread that has left the CPU already is
 * put back on the run queue (sched_choose() in sched.c).
 *
 * The end of a task is stored without this lock.  The swap of the state is a full barrier, as is
 * that of end_as() in task.c: either the check sees the end, or end_as finds this one SLEEPING.
 *
 * The lock is taken once more at the end, so that no waker still uses the entry or the thread.
 */
static bool sleep_once(struct waitq *wq, bool (*cond)(void *), void *arg, u64 deadline)
{
	struct wait_entry entry = {.thread = thread_current(), .arg = arg};
	irqflags_t flags = spin_lock_irqsave(&wq->lock);
	bool done;

	append(wq, &entry);
	atomic_xchg(&entry.thread->state, (u32)THREAD_SLEEPING);
	spin_unlock_irqrestore(&wq->lock, flags);
	done = sched_look(&wq->first, true, cond(arg));
	if (!done)
		sched_sleep(deadline);
	flags = spin_lock_irqsave(&wq->lock);
	remove(wq, &entry);
	WRITE_ONCE(entry.thread->state, (u32)THREAD_RUNNABLE);
	spin_unlock_irqrestore(&wq->lock, flags);
	return done;
}

u64 deadline_after(u64 timeout_ns)
{
	u64 now = arch_clock_ns();

	return timeout_ns < WAIT_FOREVER - now ? now + timeout_ns : WAIT_FOREVER;
}

/* As sleep_once, but with the caller's lock and list. */
bool sleep_unlocked(struct spinlock *lock, bool (*over)(void *), void *arg, u64 deadline)
    NO_LOCK_ANALYSIS
{
	struct thread *t = thread_current();

	sched_wait(lock->name);
	atomic_xchg(&t->state, (u32)THREAD_SLEEPING);
	spin_unlock(lock);
	if (!sched_look(lock, true, over(arg)))
		sched_sleep(deadline);
	if (was_passed(t))
		return true;
	spin_lock(lock);
	WRITE_ONCE(t->state, (u32)THREAD_RUNNABLE);
	return false;
}

bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	bool done = cond(arg);
	u64 deadline;

	if (done || !timeout_ns)
		return done;
	assert_may_sleep(wq->lock.name ? wq->lock.name : "wait_until");
	sched_wait(wq->lock.name);
	deadline = deadline_of(timeout_ns);
	do {
		if (thread_current()) {
			done = sleep_once(wq, cond, arg, deadline);
		} else {
			/* Before there are threads, no other thread can run. */
			cpu_relax();
			done = cond(arg);
		}
	} while (!done && !deadline_passed(deadline));
	return done || cond(arg);
}

void wake_up_locked(struct waitq *wq, const void *arg)
{
	struct wait_entry *entry = wq->first;

	sched_wake(&wq->first);
	if (!entry)
		return;
	do {
		if (!arg || entry->arg == arg)
			thread_wake(entry->thread);
		entry = entry->next;
	} while (entry != wq->first);
}
