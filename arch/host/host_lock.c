/* SPDX-License-Identifier: MIT */
/*
 * host_lock.c: the host's own spin locks: a word set by compare-and-swap, with the kernel's checks.
 *
 * Owns:       the list of locks that each pthread holds.
 * Invariants: spinlock.locked is CPU + 1 while held.
 */
#include <quarry/lock.h>
#include <quarry/port.h>

#define MAX_HELD 8

static __thread const struct spinlock *held[MAX_HELD];
static __thread unsigned nr_held;
void (*spin_violation_hook)(const char *what, const struct spinlock *lock);

static void violation(const char *what, const struct spinlock *lock)
{
	if (!spin_violation_hook)
		panic("lock: %s: %s (holder CPU %d, this is CPU %u)", what,
		    lock->name ? lock->name : "?", (int)READ_ONCE(lock->locked) - 1, arch_cpu_id());
	spin_violation_hook(what, lock);
}

static bool try_once(struct spinlock *lock) TRY_ACQUIRE(true, lock) NO_LOCK_ANALYSIS
{
	u32 unlocked = 0;

	return __atomic_compare_exchange_n(
	    &lock->locked, &unlocked, arch_cpu_id() + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void taken(struct spinlock *lock)
{
	if (nr_held == MAX_HELD)
		panic("lock: too many held, with %s", lock->name);
	held[nr_held++] = lock;
}

static void take(struct spinlock *lock) ACQUIRE(lock) NO_LOCK_ANALYSIS
{
	unsigned i;

	preempt_disable();
	for (i = 0; i < nr_held; i++) {
		if (held[i] == lock)
			panic("lock: taken twice: %s", lock->name);
		if (lock->rank && held[i]->rank >= lock->rank) {
			violation("out of order", lock);
			break;
		}
	}
	while (!try_once(lock))
		cpu_relax();
	taken(lock);
	WATCH(spin, lock, LOCK_TAKEN);
}

void spin_lock(struct spinlock *lock)
{
	WATCH(spin, lock, LOCK_WANTED);
	take(lock);
}

bool spin_trylock(struct spinlock *lock)
{
	preempt_disable();
	if (try_once(lock)) {
		taken(lock);
		return true;
	}
	preempt_enable();
	return false;
}

static bool release(struct spinlock *lock) RELEASE(lock) NO_LOCK_ANALYSIS
{
	unsigned i = nr_held;

	WATCH(spin, lock, LOCK_LEAVING);
	while (i > 0 && held[i - 1] != lock)
		i--;
	if (i == 0) {
		violation("released by another", lock);
		return false;
	}
	for (nr_held--; i <= nr_held; i++)
		held[i - 1] = held[i];
	store_release(&lock->locked, 0u);
	return true;
}

void spin_unlock(struct spinlock *lock)
{
	if (release(lock))
		preempt_enable();
	WATCH(spin, lock, LOCK_LEFT);
}

irqflags_t spin_lock_irqsave(struct spinlock *lock)
{
	irqflags_t flags;

	WATCH(spin, lock, LOCK_WANTED);
	flags = arch_irq_save();
	take(lock);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, irqflags_t flags)
{
	bool ours = release(lock);

	arch_irq_restore(flags);
	if (ours)
		preempt_enable();
	WATCH(spin, lock, LOCK_LEFT);
}

bool spin_is_held(const struct spinlock *lock)
{
	return READ_ONCE(lock->locked) == arch_cpu_id() + 1;
}

unsigned spin_depth(void)
{
	return nr_held;
}
