/* SPDX-License-Identifier: MIT */
/* lock.h: lock functions that mm/ does not need; port.h has the others. */
#ifndef QUARRY_LOCK_H
#define QUARRY_LOCK_H

#include <quarry/port.h>

/* The end of the list of locks that a CPU holds (spinlock.under).  It is never taken itself. */
extern struct spinlock lock_none;
/* Take the lock if it is free; else return false. */
bool spin_trylock(struct spinlock *lock) TRY_ACQUIRE(true, lock);
/*
 * Called, if set, instead of a panic when a lock is taken out of order or released by another CPU;
 * the lock is then taken, or stays held.  For tests of these checks, on one CPU.
 */
extern void (*spin_violation_hook)(const char *what, const struct spinlock *lock);

/* The number of threads that wait for the lock; for tests and reports. */
static inline unsigned sleep_lock_waiters(struct sleep_lock *l) NO_LOCK_ANALYSIS
{
	irqflags_t flags = spin_lock_irqsave(&l->wq.lock);
	const struct sleep_claim *c;
	unsigned nr = 0;

	for (c = l->first; c; c = c->next)
		nr++;
	spin_unlock_irqrestore(&l->wq.lock, flags);
	return nr;
}

/* ---- the exclusive side of a rwsem ---- */

/* Take the shared side if no thread holds or awaits the exclusive side. */
static inline bool rwsem_try_shared(struct rwsem *s) TRY_ACQUIRE_SHARED(true, s) NO_LOCK_ANALYSIS
{
	return sleep_lock_try(&s->l, true);
}

static inline void rwsem_lock_exclusive(struct rwsem *s) ACQUIRE(s) NO_LOCK_ANALYSIS
{
	sleep_lock_take(&s->l, false, NULL, WAIT_FOREVER);
}

/* Take @s exclusively.  False: not taken within @timeout_ns. */
static inline bool rwsem_lock_exclusive_timeout(struct rwsem *s, u64 timeout_ns)
    TRY_ACQUIRE(true, s) NO_LOCK_ANALYSIS
{
	return sleep_lock_take(&s->l, false, NULL, timeout_ns);
}

static inline void rwsem_unlock_exclusive(struct rwsem *s) RELEASE(s) NO_LOCK_ANALYSIS
{
	sleep_lock_drop(&s->l, false);
}

#endif
