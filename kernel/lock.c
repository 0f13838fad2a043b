/* SPDX-License-Identifier: MIT */
/*
 * lock.c: spin locks that check their order.
 *
 * Owns:       the record of locks that each CPU holds.
 * Locks:      none.
 * Invariants: a CPU's record has exactly the locks that the CPU holds, in the order taken.  Their
 *             ranks rise.  Preemption is off while a record is not empty, so a record belongs to
 *             one thread at a time.
 * Tests:      lock, silence_lock.
 */
#include "lock.h"
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/sched_point.h>
#include <quarry/smp.h>

#define MAX_HELD       8
#define TURNS_PER_LOOK 1024 /* of a wait, between two readings of the clock */
#define WORST_FACTOR   6    /* times smp_timeout_ns, unless smp_worst_ns is set */

/* A compiler barrier is enough: the record is this CPU's own. */
#define barrier() __asm__ volatile("" ::: "memory")

/*
 * A thread changes its CPU's record with interrupts on.  A handler may interrupt it, push its own
 * lock at the end and remove it again.  So a slot is claimed (nr) before it is filled, and emptied
 * before it is released; NULL in the middle is an empty slot.
 */
struct held_locks {
	const struct spinlock *lock[MAX_HELD]; /* o: this CPU, preemption off */
	u32 nr;
} __attribute__((aligned(64)));

/* The first CPU takes locks before the others' records are allocated. */
static struct held_locks first_record;
static struct held_locks *records = &first_record;
void (*spin_violation_hook)(const char *what, const struct spinlock *lock);

void lock_init(void)
{
	struct held_locks *all = arch_boot_zalloc(nr_cpus * sizeof(*all));

	all[0] = first_record;
	records = all;
}

static struct held_locks *my_record(void)
{
	return &records[arch_cpu_id()];
}

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
	    name_of(lock), lock->rank, what, arch_cpu_id(), (int)READ_ONCE(lock->holder) - 1,
	    held ? name_of(held) : "none", held ? held->rank : 0);
}

/*
 * A lock taken twice by one CPU deadlocks; locks taken out of order may, if another CPU nests them
 * correctly.
 */
static void check_order(const struct held_locks *h, const struct spinlock *lock)
{
	const struct spinlock *bad = NULL;
	unsigned i;

	for (i = 0; i < h->nr; i++) {
		if (!h->lock[i])
			continue;
		if (h->lock[i] == lock)
			panic("lock %s taken twice by CPU %u", name_of(lock), arch_cpu_id());
		if (h->lock[i]->rank >= lock->rank)
			bad = h->lock[i];
	}
	if (bad && lock->rank != RANK_NONE)
		violation("taken out of order", lock, bad);
}

static void record(struct held_locks *h, struct spinlock *lock)
{
	u32 nr = h->nr; /* an interrupting handler restores it */

	if (unlikely(nr == MAX_HELD))
		panic("lock %s: CPU %u holds %u already", name_of(lock), arch_cpu_id(), nr);
	WRITE_ONCE(h->nr, nr + 1);
	barrier();
	WRITE_ONCE(h->lock[nr], lock);
	WRITE_ONCE(lock->holder, arch_cpu_id() + 1);
}

/*
 * Not a ticket lock.  On a virtual machine the next CPU in line is often not running, and a fair
 * lock then moves at the pace of the host's scheduler: with 16 CPUs on two cores it came to a stop.
 * Here any running CPU may take the lock.  The acquire pairs with the release in drop(): the last
 * holder's stores are visible from here on.
 */
static bool take(struct spinlock *lock) TRY_ACQUIRE(true, lock) NO_LOCK_ANALYSIS
{
	return !READ_ONCE(lock->locked) && !__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE);
}

/*
 * A holder's critical section is bounded, but its CPU may have died in it.  A CPU that spins here
 * with interrupts off answers no cross-call either, so soon no CPU could report this.  Hence a
 * limit here, the same as that of a cross-call.  Out of line: inlined, it would cost each free lock
 * some registers.
 */
static noinline void spin(struct spinlock *lock) ACQUIRE(lock) NO_LOCK_ANALYSIS
{
	u64 since = 0, worst = smp_worst_ns ? smp_worst_ns : smp_timeout_ns * WORST_FACTOR;
	u32 turns = 0;

	sched_wait(lock->name);
	while (!sched_look(lock, false, take(lock))) {
		cpu_relax();
		if (++turns % TURNS_PER_LOOK)
			continue;
		since = since ? since : arch_clock_ns();
		if (arch_clock_ns() - since > worst)
			panic("lock %s: CPU %d does not release it", name_of(lock),
			    (int)READ_ONCE(lock->holder) - 1);
	}
}

/*
 * With interrupts off a CPU that spins here serves no cross-call.  If the holder waited for this
 * CPU to answer one, both would wait for ever.  smp_call_mask prevents it: it refuses callers that
 * hold a spin lock, so a holder never waits for an answer.
 */
void spin_lock(struct spinlock *lock)
{
	struct held_locks *h;

	/* A handler that interrupts the holder takes it, too, and would wait for ever. */
	CHECKED_ASSERT(lock->rank != RANK_SCHED || !arch_irqs_enabled());
	preempt_disable();
	h = my_record();
	check_order(h, lock);
	if (!take(lock))
		spin(lock);
	record(h, lock);
}

/* Never waits, so any order is allowed; the lock is recorded as held like any other. */
bool spin_trylock(struct spinlock *lock)
{
	preempt_disable();
	if (take(lock)) {
		record(my_record(), lock);
		return true;
	}
	preempt_enable();
	return false;
}

/* Locks may be released in any order: close the gap left by @lock, which is not the innermost. */
static noinline bool close_gap(struct held_locks *h, const struct spinlock *lock)
{
	unsigned i = h->nr;

	while (i > 0 && h->lock[i - 1] != lock)
		i--;
	if (i == 0) {
		violation("released, not being held,", lock, h->nr ? h->lock[h->nr - 1] : NULL);
		return false;
	}
	for (; i < h->nr; i++)
		WRITE_ONCE(h->lock[i - 1], h->lock[i]);
	return true;
}

static inline bool drop(struct spinlock *lock) RELEASE(lock) NO_LOCK_ANALYSIS
{
	struct held_locks *h = my_record();
	u32 nr = h->nr; /* as in record() */

	if (unlikely(!nr || h->lock[nr - 1] != lock) && !close_gap(h, lock))
		return false;
	WRITE_ONCE(h->lock[nr - 1], NULL);
	barrier();
	WRITE_ONCE(h->nr, nr - 1);
	WRITE_ONCE(lock->holder, 0u);
	store_release(&lock->locked, 0u);
	return true;
}

void spin_unlock(struct spinlock *lock)
{
	if (drop(lock))
		preempt_enable();
}

irqflags_t spin_lock_irqsave(struct spinlock *lock)
{
	irqflags_t flags = arch_irq_save();

	spin_lock(lock);
	return flags;
}

/* Restore interrupts first: preempt_enable may switch threads, and must not with interrupts off. */
void spin_unlock_irqrestore(struct spinlock *lock, irqflags_t flags)
{
	bool ours = drop(lock);

	arch_irq_restore(flags);
	if (ours)
		preempt_enable();
}

bool spin_is_held(const struct spinlock *lock)
{
	bool held;

	/*
	 * Without it the thread could move, between the two reads, to the CPU of the holder that it
	 * saw.
	 */
	preempt_disable();
	held = READ_ONCE(lock->holder) == arch_cpu_id() + 1;
	preempt_enable();
	return held;
}

/*
 * The depth is not 0 only while this thread holds a lock, and then the thread cannot move.  A
 * thread without a lock that moves during the read reads 0 all the same.
 */
unsigned spin_depth(void)
{
	unsigned depth;

	preempt_disable();
	depth = my_record()->nr;
	preempt_enable();
	return depth;
}
