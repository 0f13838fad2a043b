/* SPDX-License-Identifier: MIT */
/* lock.h: locks beyond port.h, which mm/ does not need. */
#ifndef QUARRY_LOCK_H
#define QUARRY_LOCK_H

#include <quarry/port.h>

/* As spin_lock, if nobody holds it; else false. */
bool spin_trylock(struct spinlock *lock) TRY_ACQUIRE(true, lock);
/*
 * A lock taken out of order, or released by somebody else, panics; with this set it is called
 * instead and the lock is taken, or stays held.  For tests of the checks themselves, on one CPU.
 */
extern void (*spin_violation_hook)(const char *what, const struct spinlock *lock);

/* Threads that wait for it now; for tests and reports. */
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

static inline bool rwsem_try_shared(struct rwsem *s) NO_LOCK_ANALYSIS
{
	return sleep_lock_try(&s->l, true);
}

static inline void rwsem_lock_exclusive(struct rwsem *s) ACQUIRE(s) NO_LOCK_ANALYSIS
{
	sleep_lock_take(&s->l, false, WAIT_FOREVER);
}

/* False: not within @timeout_ns; nobody waits behind us for it. */
static inline bool rwsem_lock_exclusive_timeout(struct rwsem *s, u64 timeout_ns)
    TRY_ACQUIRE(true, s) NO_LOCK_ANALYSIS
{
	return sleep_lock_take(&s->l, false, timeout_ns);
}

static inline void rwsem_unlock_exclusive(struct rwsem *s) RELEASE(s) NO_LOCK_ANALYSIS
{
	sleep_lock_drop(&s->l, false);
}

#endif
