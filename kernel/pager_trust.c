/* SPDX-License-Identifier: MIT */
/*
 * pager_trust.c: the time that reclaim may wait for the pagers of one task.
 *
 * Reclaim waits for CLEAN only, and pays for it from left_ns, one account for all pagers of a task.
 * A call of up to FREE_NS is free, so a pager that does its work is never refused.  The rest is
 * subtracted, and comes back at one nanosecond in SHARE: late pagers take at most a fifth of
 * reclaim's time.  A call without an answer leaves nothing, and costs up to sixteenfold if the
 * calls before it had none either.  Only an answered CLEAN ends that, as the next attempt may;
 * supplying or dropping pages does not.
 *
 * Owns:       struct pager_trust: one for all pagers of a task, one for each pager of the kernel's.
 * Locks:      trust->lock (RANK_TASK); task->lock, while a task gets its trust.  Never both.
 * Invariants: a task's trust stays the same from its first pager on.
 * Tests:      pager_wait, silence_trust, tests/fiber/explore_pagers.c.
 */
#include "pager_trust.h"
#include <quarry/mm.h>
#include <quarry/task.h>

#define TRUST_MAX_NS     2000000000LL
#define TRUST_FREE_NS    10000000LL
#define TRUST_SHARE      4
#define TRUST_MAX_MISSED 4

struct pager_trust {
	struct spinlock lock;
	u32 refs;                           /* a: the task, and each of its pagers */
	u32 missed GUARDED_BY(task_class);  /* lock: calls in a row without an answer */
	s64 left_ns GUARDED_BY(task_class); /* lock: time reclaim may still wait; <= 0: none */
	u64 at GUARDED_BY(task_class);      /* lock: the clock when left_ns was computed */
};

static struct pager_trust *trust_create(void)
{
	struct pager_trust *trust = kmalloc(sizeof(*trust));

	if (trust)
		*trust = (struct pager_trust){.lock = SPINLOCK("pager's trust", RANK_TASK),
		    .refs = 1,
		    .left_ns = TRUST_MAX_NS,
		    .at = arch_clock_ns()};
	return trust;
}

void pager_trust_put(struct pager_trust *trust)
{
	if (trust && atomic_sub(&trust->refs, 1u) == 1)
		kfree(trust);
}

struct pager_trust *pager_trust_of(struct task *task)
{
	struct pager_trust *trust = task ? load_acquire(&task->trust) : NULL, *mine;

	if (!trust) {
		mine = trust = trust_create();
		if (!mine || !task)
			return mine;
		task_lock(&task->lock);
		if (task->trust)
			trust = task->trust;
		else
			store_release(&task->trust, mine);
		task_unlock(&task->lock);
		if (trust != mine)
			kfree(mine);
	}
	atomic_add(&trust->refs, 1u);
	return trust;
}

bool pager_trust_left(struct pager_trust *trust)
{
	u64 now = arch_clock_ns();
	bool trusted;

	task_lock(&trust->lock);
	/* Another CPU's clock may be slightly behind. */
	if (now > trust->at) {
		s64 earned = (s64)((now - trust->at) / TRUST_SHARE);

		trust->left_ns = MIN(trust->left_ns + earned, TRUST_MAX_NS);
		trust->at = now;
	}
	trusted = trust->left_ns > 0;
	task_unlock(&trust->lock);
	return trusted;
}

void pager_trust_charge(struct pager_trust *trust, u64 timeout_ns, u32 what, u64 took_ns, int err)
{
	s64 took = (s64)MIN(took_ns, ABI_MAX_PAGER_NS),
	    floor = -(s64)(timeout_ns << TRUST_MAX_MISSED);

	task_lock(&trust->lock);
	if (err == -ETIMEDOUT) {
		s64 cost = took << MIN(trust->missed, (u32)TRUST_MAX_MISSED);

		trust->left_ns = MAX(MIN(trust->left_ns, 0) - cost, MIN(floor, trust->left_ns));
		trust->missed += what == ABI_PAGER_CLEAN;
	} else if (err >= 0 && what == ABI_PAGER_CLEAN) {
		trust->missed = 0;
		trust->left_ns -= MAX(took - TRUST_FREE_NS, 0LL);
	}
	task_unlock(&trust->lock);
}
