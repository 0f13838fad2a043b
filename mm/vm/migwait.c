/* SPDX-License-Identifier: MIT */
/*
 * migwait.c: threads that wait for a page being moved, without a reference to it.
 *
 * Owns:       the buckets, by pfn; each waiter's record is on its own stack.
 * Locks:      a bucket's lock (RANK_MIGWAIT) inside that of the object whose marker was seen.
 * Invariants: a queued waiter's page is locked and being moved.  The waker takes the record off the
 *             list, then sets `woken'; from then on only the waiter reads the record.
 * Tests:      migrate_race, vm_object, migrate_lru, migrate_exact.
 *
 * Why a waiter has no reference: migration succeeds only if the page has just the references that
 * it expects, so waiters' references could make it fail without end.  None is needed.  The marker,
 * seen under the object's lock, proves that a migrator has the page locked and referenced, and the
 * migrator needs that lock to remove the marker.  So the page stays until the waiter, queued by
 * then, releases the lock.  Afterwards the waiter never reads the page again, not even its flags:
 * the page may be free, or have another owner.  When woken, it takes the fault again in any case.
 *
 * Why no wake-up is lost: the migrator removes the marker under the object's lock, then wakes the
 * bucket.  A thread that saw the marker was queued before it released that lock.  So the migrator
 * finds the bucket not empty, even without its lock.  A later thread does not see the marker.
 */
#include "mm/core/event.h"
#include "mm/vm/vm.h"
#include <quarry/sched_point.h>

#define BUCKETS 64

struct bucket {
	struct spinlock lock;
	struct migwait *first; /* under lock */
	struct waitq wq;       /* the waiters of `first' sleep here */
};
static struct bucket buckets[BUCKETS] = {
    [0 ... BUCKETS - 1] = {.lock = {.rank = RANK_MIGWAIT, .name = "migwait"},
        .wq = WAITQ("page moved")},
};

static struct bucket *bucket_of(pfn_t pfn)
{
	return &buckets[pfn % BUCKETS];
}

void migwait_queue(struct migwait *w, struct memory *mem, pfn_t pfn)
{
	struct bucket *b = bucket_of(pfn);

	KASSERT(page_word(pfn_to_page_in(mem, pfn)) & PAGE_LOCKED);
	*w = (struct migwait){.mem = mem, .pfn = pfn};
	spin_lock(&b->lock);
	w->next = b->first;
	WRITE_ONCE(b->first, w);
	spin_unlock(&b->lock);
	MM_EVENT(mem, MIGWAIT_QUEUED);
}

static bool is_woken(void *arg)
{
	return load_acquire(&((struct migwait *)arg)->woken);
}

void migwait_sleep(struct migwait *w)
{
	KASSERT(spin_depth() == 0);
	sched_point("migwait.queued");
	wait_until(&bucket_of(w->pfn)->wq, is_woken, w, WAIT_FOREVER);
	sched_point("migwait.woken");
}

/* Out of line: most pages have no waiter. */
static noinline void wake_in(struct bucket *b, struct memory *mem, pfn_t pfn)
{
	struct migwait **link, *w;
	unsigned nr = 0;

	spin_lock(&b->lock);
	for (link = &b->first; (w = *link);) {
		if (w->mem != mem || w->pfn != pfn) {
			link = &w->next;
			continue;
		}
		WRITE_ONCE(*link, w->next);
		nr++;
		store_release(&w->woken, 1u); /* now the waiter may return, and w be gone */
	}
	spin_unlock(&b->lock);
	if (!nr)
		return;
	MM_EVENT_ADD(mem, MIGWAIT_WOKEN, nr);
	wake_up(&b->wq);
}

void migwait_wake(struct memory *mem, pfn_t pfn)
{
	struct bucket *b = bucket_of(pfn);

	if (READ_ONCE(b->first))
		wake_in(b, mem, pfn);
}

bool migwait_owns(const void *what)
{
	return (uintptr_t)what - (uintptr_t)buckets < sizeof(buckets);
}

void migwait_forget(void)
{
	unsigned i;

	for (i = 0; i < BUCKETS; i++) {
		buckets[i].first = NULL;
		buckets[i].lock.locked = 0;
	}
}

void migwait_check(const struct memory *mem, bool (*fn)(void *arg, pfn_t pfn), void *arg)
{
	const struct migwait *w;
	unsigned i;

	for (i = 0; i < BUCKETS; i++) {
		/* Skip a bucket that a stopped CPU was changing. */
		if (READ_ONCE(buckets[i].lock.locked))
			continue;
		for (w = buckets[i].first; w; w = w->next)
			if (w->mem == mem && !fn(arg, w->pfn))
				return;
	}
}
