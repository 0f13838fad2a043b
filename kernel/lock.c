/* SPDX-License-Identifier: MIT */
/*
 * lock.c: spin locks that check their order.
 *
 * Owns:       the list of locks that each CPU holds, through the locks themselves.
 * Locks:      none.
 * Invariants: a CPU's list has exactly the locks that the CPU holds, the last one taken first.
 *             Their ranks rise.  Preemption is off while a list is not empty, so a list belongs to
 *             one thread at a time.  With a free lock and rising ranks, all functions here are leaf
 *             functions.
 * Tests:      lock, silence_lock.
 */
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

#define TURNS_PER_LOOK 1024 /* passes of a waiting loop between two readings of the clock */
#define WORST_FACTOR   6    /* times smp_timeout_ns: the longest wait, if smp_worst_ns is 0 */

/* A compiler barrier is enough: the list is this CPU's own. */
#define barrier() __asm__ volatile("" ::: "memory")

/*
 * The locks that a CPU holds are a list through the locks themselves, from arch_top_lock() down to
 * lock_none.  A thread changes its CPU's list with interrupts on.  A handler may interrupt the
 * change: it puts its own lock on top and removes it again, which leaves the top as it was.
 */
struct spinlock lock_none = {.name = "none"};
void (*spin_violation_hook)(const char *what, const struct spinlock *lock);
u64 smp_timeout_ns = 10000000000ULL, smp_worst_ns;

static const char *name_of(const struct spinlock *lock)
{
	return lock->name ? lock->name : "(no name)";
}

static void violation(const char *what, const struct spinlock *lock, const struct spinlock *held)
{
	if (spin_violation_hook) {
		spin_violation_hook(what, lock);
		return;
	}
	panic("lock %s (rank %u) %s by CPU %u; its holder: CPU %d (-1: none); innermost here: %s "
	      "(rank %u)",
	    name_of(lock), lock->rank, what, arch_cpu_id(), (int)READ_ONCE(lock->locked) - 1,
	    held ? name_of(held) : "none", held ? held->rank : 0);
}

/*
 * A lock taken twice by one CPU deadlocks.  Locks taken out of order may deadlock with a CPU that
 * takes them in order.
 */
static void check_order(const struct spinlock *lock)
{
	const struct spinlock *bad = NULL, *held;

	for (held = arch_top_lock(); held != &lock_none; held = held->under) {
		if (held == lock)
			panic("lock %s taken twice by CPU %u", name_of(lock), arch_cpu_id());
		if (!bad && held->rank >= lock->rank)
			bad = held;
	}
	if (bad && lock->rank != RANK_NONE)
		violation("taken out of order", lock, bad);
}

/* @lock has just been taken: no other CPU writes to it.  @highest: see lock_fast. */
static always_inline void push(struct spinlock *lock, struct spinlock *top, u8 highest)
{
	WRITE_ONCE(lock->under, top);
	WRITE_ONCE(lock->highest, highest);
	barrier();
	arch_set_top_lock(lock);
}

static always_inline void push_any(struct spinlock *lock)
{
	struct spinlock *top = arch_top_lock();

	push(lock, top, MAX(lock->rank, top->highest));
}

/*
 * This is no ticket lock.  On a virtual machine the next CPU in line is often not running, and a
 * fair lock then moves at the pace of the host's scheduler: with 16 CPUs on two cores it came to a
 * stop.  Here any running CPU may take the lock.  The acquire pairs with the release in drop(): the
 * last holder's stores are visible from here on.
 */
static always_inline bool lock_take(struct spinlock *lock) TRY_ACQUIRE(true, lock) NO_LOCK_ANALYSIS
{
	u32 unlocked = 0;

	return NOTE_BARRIER(__atomic_compare_exchange_n(&lock->locked, &unlocked, arch_cpu_id() + 1,
	    false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

/*
 * A holder's critical section is bounded, but its CPU may have died in it.  A CPU that spins here
 * with interrupts off answers no cross-call either, so soon no CPU could report the dead one.  So
 * one holder has a limit, the same as a cross-call's; others may come before this CPU.  The
 * function is not inline: inlining would cost the path of a free lock some registers.
 */
static noinline void spin(struct spinlock *lock) ACQUIRE(lock) NO_LOCK_ANALYSIS
{
	u64 since = 0, worst = smp_worst_ns ? smp_worst_ns : smp_timeout_ns * WORST_FACTOR;
	u32 turns = 0, holder = READ_ONCE(lock->locked);

	/* Nobody would ever release it.  Its name may be no name either. */
	if (holder > nr_cpus)
		panic("lock at %p: held by %#x, which is no CPU; was its memory freed?", lock,
		    holder);
	sched_wait(lock->name);
	while (!sched_look(lock, false, !READ_ONCE(lock->locked) && lock_take(lock))) {
		cpu_relax();
		if (++turns % TURNS_PER_LOOK)
			continue;
		if (!since || READ_ONCE(lock->locked) != holder) {
			since = arch_clock_ns();
			holder = READ_ONCE(lock->locked);
		}
		if (arch_clock_ns() - since > worst)
			panic("lock %s: CPU %d does not release it", name_of(lock),
			    (int)READ_ONCE(lock->locked) - 1);
	}
}

/* Take @lock if it may be out of order, or if another CPU holds it. */
static noinline void lock_slow(struct spinlock *lock) ACQUIRE(lock) NO_LOCK_ANALYSIS
{
	check_order(lock);
	if (!lock_take(lock))
		spin(lock);
	push_any(lock);
}

static noinline irqflags_t lock_slow_irqsave(struct spinlock *lock, irqflags_t flags) ACQUIRE(lock)
    NO_LOCK_ANALYSIS
{
	lock_slow(lock);
	return flags;
}

/*
 * A lock whose rank is above the ranks of all held locks is neither out of order nor held already.
 * This needs no walk over the list: `highest' is at least the largest rank of its lock and of the
 * locks under it (more, if a lock was released out of order).  False: use lock_slow.
 */
static always_inline bool lock_fast(struct spinlock *lock) TRY_ACQUIRE(true, lock) NO_LOCK_ANALYSIS
{
	struct spinlock *top;
	u8 rank = lock->rank;

	/* With interrupts on, a handler could interrupt the holder and spin on @lock for ever. */
	CHECKED_ASSERT(rank != RANK_SCHED || !arch_irqs_enabled());
	preempt_disable();
	top = arch_top_lock();
	if (unlikely(top->highest >= rank) || unlikely(!lock_take(lock)))
		return false;
	push(lock, top, rank);
	return true;
}

/*
 * A CPU that spins here with interrupts off serves no cross-call.  If the holder waited for this
 * CPU to answer one, both would wait for ever.  smp_call_mask prevents it: it refuses callers that
 * hold a spin lock, so a holder never waits for an answer.
 */
void spin_lock(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	WATCH(spin, lock, LOCK_WANTED);
	if (unlikely(!lock_fast(lock)))
		lock_slow(lock);
	WATCH(spin, lock, LOCK_TAKEN);
}

/* Never waits, so any order is allowed; the lock is recorded as held like any other. */
bool spin_trylock(struct spinlock *lock)
{
	preempt_disable();
	if (lock_take(lock)) {
		push_any(lock);
		return true;
	}
	preempt_enable();
	return false;
}

/* Locks may be released in any order: close the gap left by @lock, which is not the innermost. */
static bool close_gap(const struct spinlock *lock)
{
	struct spinlock *above = arch_top_lock();

	while (above != &lock_none && above->under != lock)
		above = above->under;
	if (above == &lock_none) {
		above = arch_top_lock();
		violation("released, not being held,", lock, above == &lock_none ? NULL : above);
		return false;
	}
	WRITE_ONCE(above->under, lock->under);
	return true;
}

/* Release @lock if it is the innermost.  False: it is not, so use unlock_slow. */
static always_inline bool drop(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	if (unlikely(arch_top_lock() != lock))
		return false;
	arch_set_top_lock(lock->under);
	store_release(&lock->locked, 0u);
	return true;
}

static noinline void unlock_slow(struct spinlock *lock) RELEASE(lock) NO_LOCK_ANALYSIS
{
	if (close_gap(lock)) {
		store_release(&lock->locked, 0u);
		preempt_enable();
	}
}

/* Restore interrupts first: preempt_enable may switch threads, and must not with interrupts off. */
static noinline void unlock_slow_irqrestore(struct spinlock *lock, irqflags_t flags) RELEASE(lock)
    NO_LOCK_ANALYSIS
{
	bool ours = close_gap(lock);

	if (ours)
		store_release(&lock->locked, 0u);
	arch_irq_restore(flags);
	if (ours)
		preempt_enable();
}

void spin_unlock(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	WATCH(spin, lock, LOCK_LEAVING);
	if (likely(drop(lock)))
		preempt_enable();
	else
		unlock_slow(lock);
	WATCH(spin, lock, LOCK_LEFT);
}

irqflags_t spin_lock_irqsave(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	irqflags_t flags;

	WATCH(spin, lock, LOCK_WANTED);
	flags = arch_irq_save();
	flags = likely(lock_fast(lock)) ? flags : lock_slow_irqsave(lock, flags);
	WATCH(spin, lock, LOCK_TAKEN);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, irqflags_t flags) NO_LOCK_ANALYSIS
{
	WATCH(spin, lock, LOCK_LEAVING);
	if (unlikely(!drop(lock))) {
		unlock_slow_irqrestore(lock, flags);
	} else {
		arch_irq_restore(flags);
		preempt_enable();
	}
	WATCH(spin, lock, LOCK_LEFT);
}

/*
 * While a thread holds a lock its preemption count is not 0 and the thread cannot move.  So with a
 * count of 0 it holds no lock; otherwise the thread stays on one CPU during the comparison.
 */
bool spin_is_held(const struct spinlock *lock)
{
	return arch_preempt_count() && READ_ONCE(lock->locked) == arch_cpu_id() + 1;
}

/* As in spin_is_held: with a preemption count of 0 the thread holds no lock. */
unsigned spin_depth(void)
{
	const struct spinlock *held;
	unsigned depth = 0;

	if (!arch_preempt_count())
		return 0;
	for (held = arch_top_lock(); held != &lock_none; held = held->under)
		depth++;
	return depth;
}
