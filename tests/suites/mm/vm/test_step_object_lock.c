/* SPDX-License-Identifier: MIT */
/*
 * test_step_object_lock.c: a removal that looks at each wake-up whether it may begin, while a
 * thread waits for a walk.  The test includes the source of mm/vm/object_lock.c, which calls it
 * there.  Hosted only.
 */
#define object_walk_ends      stepped_walk_ends
#define object_wait           stepped_wait
#define object_lock           stepped_lock
#define object_lock_to_remove stepped_lock_to_remove
#include "tests/lib/mm_test.h"
#include "mm/vm/vm.h"

static struct vm_object it;
static u32 had_ended;
/* At the last wake-up: might a removal begin; was the wait for the walk over? */
static bool may_begin, was_over;
static bool too_early; /* a removal might have begun before the thread that waits */
static u16 counted;    /* it.waiting at the last unlock; it changes under the lock */
static bool changed;

static void look_at_wake(struct waitq *wq);
static bool end_the_walk(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns);
static void look_and_lock(struct spinlock *lock) ACQUIRE(*lock);
static void unlock_and_look(struct spinlock *lock) RELEASE(*lock);

#define wake_up     look_at_wake
#define wait_until  end_the_walk
#define spin_lock   look_and_lock
#define spin_unlock unlock_and_look
#include "mm/vm/object_lock.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef spin_lock
#undef spin_unlock

static void look_at_wake(struct waitq *wq)
{
	struct walk_wait w = {.object = &it, .ended = had_ended};
	struct removal r = {.object = &it};

	was_over = walk_over(&w);
	may_begin = may_remove(&r);
}

static void look_and_lock(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	changed |= it.waiting != counted;
	spin_lock(lock);
}

static void unlock_and_look(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	counted = it.waiting;
	spin_unlock(lock);
}

/* The walk ends while the thread waits. */
static bool end_the_walk(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	spin_lock(&it.lock);
	object_walk_ends(&it);
	spin_unlock(&it.lock);
	too_early |= may_begin;
	return cond(arg);
}

static void begin(void)
{
	it = (struct vm_object){.lock = SPINLOCK("object", RANK_OBJECT), .walked = 1};
	had_ended = READ_ONCE(nr_ended);
	counted = 0;
	too_early = changed = may_begin = false;
}

KTEST_SUITE(object_lock_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(walk_is_over_when_its_end_wakes)
{
	begin();
	spin_lock(&it.lock);
	object_walk_ends(&it);
	spin_unlock(&it.lock);
	EXPECT(t, was_over && may_begin);
}

/* A removal is kept away until the lock is taken, and is then woken. */
KTEST(removal_begins_after_the_thread_that_waits)
{
	begin();
	object_lock(&it);
	spin_unlock(&it.lock);
	EXPECT(t, may_begin && !too_early && !changed);
}
