/* SPDX-License-Identifier: MIT */
/* test_lock.c: spin locks, mutexes and rwsems, on as many CPUs as there are. */
#include "tests/lib/mm_test.h"
#include "tests/lib/wait_help.h"
#include <quarry/ktest.h>
#include <quarry/lock.h>

#define ROUNDS 2000

/* Shared by the threads of a test. */
struct shared {
	struct spinlock lock;
	struct mutex mutex;
	struct rwsem sem;
	u64 plain;    /* changed only under the lock: the sum shows lost updates */
	u32 inside;   /* threads in the critical section */
	u32 overlaps; /* atomic: times that more than one thread was inside */
	u32 ready;    /* atomic: threads that have started */
	unsigned cpus;
};

/* Let all threads start together: otherwise there would be little contention. */
static void gather(struct shared *s)
{
	atomic_add(&s->ready, 1);
	SPIN_UNTIL(READ_ONCE(s->ready) >= s->cpus);
}

static void run_everywhere(struct shared *s, void (*fn)(void *))
{
	s->cpus = ktest_cpus();
	run_from(0, fn, s);
}

static void enter_and_leave(struct shared *s)
{
	if (s->inside++)
		counter_add(&s->overlaps, 1);
	s->plain++;
	cpu_relax(); /* a thread that is wrongly admitted would enter now */
	s->inside--;
}

static void lock_many_times(void *arg)
{
	struct shared *s = arg;
	irqflags_t flags;
	unsigned i;

	gather(s);
	for (i = 0; i < ROUNDS; i++) {
		if (i % 2) {
			spin_lock(&s->lock);
			enter_and_leave(s);
			spin_unlock(&s->lock);
		} else {
			flags = spin_lock_irqsave(&s->lock);
			enter_and_leave(s);
			spin_unlock_irqrestore(&s->lock, flags);
		}
	}
}

KTEST_SUITE(lock, 0);

KTEST(spin_lock_excludes)
{
	struct shared s = {.lock = SPINLOCK("test", RANK_ZONE)};

	run_everywhere(&s, lock_many_times);
	EXPECT_EQ(t, s.plain, (u64)ROUNDS * s.cpus);
	EXPECT_EQ(t, s.overlaps, 0);
}

static void mutex_many_times(void *arg)
{
	struct shared *s = arg;
	unsigned i;

	gather(s);
	for (i = 0; i < ROUNDS / 10; i++) {
		mutex_lock(&s->mutex);
		enter_and_leave(s);
		if (i % 16 == 0)
			thread_yield();
		mutex_unlock(&s->mutex);
	}
}

KTEST(mutex_excludes)
{
	struct shared s = {.mutex = MUTEX("test")};

	run_everywhere(&s, mutex_many_times);
	EXPECT_EQ(t, s.plain, (u64)(ROUNDS / 10) * s.cpus);
	EXPECT_EQ(t, s.overlaps, 0);
}

static void rwsem_many_times(void *arg)
{
	struct shared *s = arg;
	unsigned i;

	gather(s);
	for (i = 0; i < ROUNDS / 10; i++) {
		if (i % 4 == 0) {
			rwsem_lock_exclusive(&s->sem);
			enter_and_leave(s);
			rwsem_unlock_exclusive(&s->sem);
		} else {
			rwsem_lock_shared(&s->sem);
			if (READ_ONCE(s->inside))
				counter_add(&s->overlaps, 1);
			rwsem_unlock_shared(&s->sem);
		}
	}
}

KTEST(rwsem_exclusive_excludes_all)
{
	struct shared s = {.sem = RWSEM("test")};

	run_everywhere(&s, rwsem_many_times);
	EXPECT_EQ(t, s.plain, (u64)(ROUNDS / 40) * s.cpus);
	EXPECT_EQ(t, s.overlaps, 0);
	EXPECT_EQ(t, s.sem.l.count, 0);
}

static void take_exclusively(void *arg)
{
	struct shared *s = arg;

	rwsem_lock_exclusive(&s->sem);
	s->plain++;
	rwsem_unlock_exclusive(&s->sem);
}

static bool lets_in(struct rwsem *sem)
{
	bool in = rwsem_try_shared(sem);

	if (in)
		rwsem_unlock_shared(sem);
	return in;
}

/* Overlapping sharers, of which one is always inside, do not keep out an exclusive waiter. */
KTEST(rwsem_exclusive_keeps_new_sharers_out)
{
	struct shared s = {.sem = RWSEM("test")};
	struct thread *waiter;

	rwsem_lock_shared(&s.sem);
	rwsem_lock_shared(&s.sem);
	waiter = NEED(t, thread_start("waiter", (int)ktest_cpus() - 1, take_exclusively, &s));
	EXPECT(t, YIELD_UNTIL(sleep_lock_waiters(&s.sem.l)));
	EXPECT(t, !lets_in(&s.sem));
	rwsem_unlock_shared(&s.sem);
	EXPECT(t, !lets_in(&s.sem));
	EXPECT_EQ(t, s.plain, 0);
	rwsem_unlock_shared(&s.sem);
	thread_join(waiter);
	EXPECT_EQ(t, s.plain, 1);
	EXPECT(t, lets_in(&s.sem));
	EXPECT_EQ(t, s.sem.l.count, 0);
}

/* ---- first come, first served ---- */

#define IN_LINE 3

struct in_line {
	struct shared *s;
	unsigned nth;
	struct thread *thread;
};

static void stand_in_line(void *arg)
{
	struct in_line *w = arg;

	rwsem_lock_exclusive(&w->s->sem);
	w->s->plain = w->s->plain * 10 + w->nth;
	rwsem_unlock_exclusive(&w->s->sem);
}

static void stand_in_line_for_mutex(void *arg)
{
	struct in_line *w = arg;

	mutex_lock(&w->s->mutex);
	w->s->plain = w->s->plain * 10 + w->nth;
	mutex_unlock(&w->s->mutex);
}

static void share_once(void *arg)
{
	struct in_line *w = arg;

	rwsem_lock_shared(&w->s->sem);
	w->s->plain = w->s->plain * 10 + w->nth;
	rwsem_unlock_shared(&w->s->sem);
}

/* Start threads 1 to IN_LINE; each is asleep in the line before the next one starts. */
static bool form_line(
    struct shared *s, struct sleep_lock *l, struct in_line *line, void (*fn)(void *))
{
	unsigned i;

	for (i = 0; i < IN_LINE; i++) {
		line[i] = (struct in_line){.s = s, .nth = i + 1};
		line[i].thread = thread_start("waiter", (int)(i % ktest_cpus()), fn, &line[i]);
		if (!line[i].thread)
			return false;
		if (!YIELD_UNTIL(sleep_lock_waiters(l) == i + 1))
			return false;
	}
	return true;
}

/* A holder that locks again at once, before a woken waiter has run, is served after the waiters. */
KTEST(mutex_serves_in_order_of_arrival)
{
	struct shared s = {.mutex = MUTEX("test")};
	struct in_line line[IN_LINE];
	unsigned i;

	mutex_lock(&s.mutex);
	REQUIRE(t, form_line(&s, &s.mutex.l, line, stand_in_line_for_mutex));
	EXPECT(t, !mutex_trylock(&s.mutex));
	mutex_unlock(&s.mutex);
	mutex_lock(&s.mutex);
	EXPECT_EQ(t, s.plain, 123);
	mutex_unlock(&s.mutex);
	for (i = 0; i < IN_LINE; i++)
		thread_join(line[i].thread);
	EXPECT(t, !mutex_is_held(&s.mutex));
}

KTEST(rwsem_serves_in_order_of_arrival)
{
	struct shared s = {.sem = RWSEM("test")};
	struct in_line line[IN_LINE];
	unsigned i;

	rwsem_lock_exclusive(&s.sem);
	REQUIRE(t, form_line(&s, &s.sem.l, line, stand_in_line));
	rwsem_unlock_exclusive(&s.sem);
	rwsem_lock_exclusive(&s.sem);
	EXPECT_EQ(t, s.plain, 123);
	rwsem_unlock_exclusive(&s.sem);
	for (i = 0; i < IN_LINE; i++)
		thread_join(line[i].thread);
	EXPECT_EQ(t, s.sem.l.count, 0);
}

/* Waiters behind a thread that times out are admitted; and the lock is as before. */
KTEST(rwsem_exclusive_wait_times_out)
{
	struct shared s = {.sem = RWSEM("test")};
	struct in_line sharer = {.s = &s, .nth = 1};

	rwsem_lock_shared(&s.sem);
	EXPECT(t, !rwsem_lock_exclusive_timeout(&s.sem, 0));
	EXPECT(t, !rwsem_lock_exclusive_timeout(&s.sem, 1000000));
	EXPECT_EQ(t, sleep_lock_waiters(&s.sem.l), 0);
	sharer.thread = thread_start("sharer", (int)ktest_cpus() - 1, share_once, &sharer);
	REQUIRE(t, sharer.thread);
	thread_join(sharer.thread);
	EXPECT_EQ(t, s.plain, 1);
	rwsem_unlock_shared(&s.sem);
	EXPECT(t, rwsem_lock_exclusive_timeout(&s.sem, 0));
	rwsem_unlock_exclusive(&s.sem);
}

struct timed_waiter {
	struct shared *s;
	u64 patience;
	u32 ended; /* atomic */
};

static void wait_with_timeout(void *arg)
{
	struct timed_waiter *g = arg;

	if (rwsem_lock_exclusive_timeout(&g->s->sem, g->patience))
		rwsem_unlock_exclusive(&g->s->sem);
	store_release(&g->ended, 1u);
}

static bool stand_behind(struct timed_waiter *g, unsigned nr)
{
	while (!load_acquire(&g->ended)) {
		if (sleep_lock_waiters(&g->s->sem.l) == nr)
			return true;
		thread_yield();
	}
	return false;
}

/*
 * A sharer queues behind a waiter, and then the waiter times out. False: the waiter timed out
 * before the sharer had queued.
 */
static bool one_times_out_before_another(struct ktest *t, u64 patience)
{
	struct shared s = {.sem = RWSEM("test")};
	struct timed_waiter g = {.s = &s, .patience = patience};
	struct in_line sharer = {.s = &s, .nth = 1};
	struct thread *waiter;
	bool met;

	rwsem_lock_shared(&s.sem);
	waiter = thread_start("waiter", (int)ktest_cpus() - 1, wait_with_timeout, &g);
	met = waiter && stand_behind(&g, 1);
	if (met)
		sharer.thread = thread_start("sharer", 0, share_once, &sharer);
	met = sharer.thread && stand_behind(&g, 2);
	if (waiter)
		thread_join(waiter);
	if (sharer.thread)
		thread_join(sharer.thread);
	EXPECT_EQ(t, s.plain, sharer.thread ? 1 : 0);
	rwsem_unlock_shared(&s.sem);
	EXPECT_EQ(t, s.sem.l.count, 0);
	return met;
}

KTEST(waiters_behind_a_timed_out_waiter_are_admitted)
{
	u64 patience;
	bool met = false;

	/* On a busy machine the waiter may time out before the sharer queues: then wait longer. */
	for (patience = 20000000; !met && patience <= 20480000000; patience *= 4)
		met = one_times_out_before_another(t, patience);
	EXPECT(t, met);
}

KTEST(holder_and_depth_are_known)
{
	struct spinlock outer = SPINLOCK("outer", RANK_LRU), inner = SPINLOCK("inner", RANK_ZONE);
	irqflags_t flags;

	EXPECT_EQ(t, spin_depth(), 0);
	flags = spin_lock_irqsave(&outer);
	EXPECT(t, !arch_irqs_enabled());
	spin_lock(&inner);
	EXPECT_EQ(t, spin_depth(), 2);
	EXPECT(t, spin_is_held(&outer) && spin_is_held(&inner));
	/* Locks may be released in any order: this one was not taken last. */
	spin_unlock(&outer);
	EXPECT(t, !spin_is_held(&outer) && spin_is_held(&inner));
	EXPECT_EQ(t, spin_depth(), 1);
	spin_unlock_irqrestore(&inner, flags);
	EXPECT_EQ(t, spin_depth(), 0);
	EXPECT(t, arch_irqs_enabled());
}

KTEST(trylock_fails_while_held)
{
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);

	REQUIRE(t, spin_trylock(&lock));
	EXPECT(t, !spin_trylock(&lock));
	EXPECT_EQ(t, spin_depth(), 1);
	spin_unlock(&lock);
	REQUIRE(t, spin_trylock(&lock));
	spin_unlock(&lock);
	EXPECT_EQ(t, spin_depth(), 0);
	/* A thread that may not be preempted may not sleep either: that would panic. */
	thread_sleep(1);
}

static unsigned violations;
static void count_violation(const char *what, const struct spinlock *lock)
{
	violations++;
}

static unsigned violations_of(struct spinlock *first, struct spinlock *second, bool try)
{
	/* With interrupts on, another thread could take locks on this CPU and be counted too. */
	irqflags_t flags = arch_irq_save();

	violations = 0;
	spin_violation_hook = count_violation;
	spin_lock(first);
	if (try)
		KASSERT(spin_trylock(second));
	else
		spin_lock(second);
	spin_unlock(second);
	spin_unlock(first);
	spin_violation_hook = NULL;
	arch_irq_restore(flags);
	return violations;
}

KTEST(locks_out_of_order_are_reported)
{
	struct spinlock lru = SPINLOCK("lru", RANK_LRU), zone = SPINLOCK("zone", RANK_ZONE);
	struct spinlock zone2 = SPINLOCK("zone2", RANK_ZONE), any = SPINLOCK("any", RANK_NONE);

	EXPECT_EQ(t, violations_of(&lru, &zone, false), 0);
	EXPECT_EQ(t, violations_of(&zone, &lru, false), 1);
	EXPECT_EQ(t, violations_of(&zone, &zone2, false), 1);
	EXPECT_EQ(t, violations_of(&zone, &any, false), 0);
	EXPECT_EQ(t, violations_of(&any, &zone, false), 0);
	EXPECT_EQ(t, violations_of(&zone, &lru, true), 0);
	/* A lock that was taken out of order, by a try, does not hide the locks of lower rank. */
	spin_lock(&zone);
	REQUIRE(t, spin_trylock(&lru));
	EXPECT_EQ(t, violations_of(&zone2, &any, false), 1);
	spin_unlock(&lru);
	spin_unlock(&zone);
	spin_lock(&lru);
	spin_lock(&zone);
	spin_unlock(&lru);
	/* The record still has the zone lock: only the released lock was removed. */
	EXPECT_EQ(t, violations_of(&zone2, &any, false), 1);
	spin_unlock(&zone);
}

KTEST(unlock_by_another_is_reported)
{
	struct spinlock lock = SPINLOCK("test", RANK_ZONE);
	irqflags_t flags = arch_irq_save();

	violations = 0;
	spin_violation_hook = count_violation;
	spin_unlock(&lock);
	spin_violation_hook = NULL;
	arch_irq_restore(flags);
	EXPECT_EQ(t, violations, 1);
	EXPECT_EQ(t, spin_depth(), 0);
	spin_lock(&lock);
	spin_unlock(&lock);
}
