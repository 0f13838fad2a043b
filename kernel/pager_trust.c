/* SPDX-License-Identifier: MIT */
/*
 * pager_trust.c: the time that reclaim may wait for the pagers of one family.
 *
 * Reclaim waits only for requests to clean a page (CLEAN), at most for what is left of
 * TRUST_MAX_NS.  A page cleaned within TRUST_FREE_NS costs nothing, so a pager that does its work
 * is never refused.  The pagers owe all other waiting time, also that of a failed request, and one
 * nanosecond in TRUST_SHARE is paid back: late pagers take at most a fifth of reclaim's time.  A
 * request without an answer uses up all trust, and costs up to sixteenfold if the requests before
 * it had no answer either.  Only a cleaned page ends this series; supplying or dropping pages does
 * not.  Requests for pages (GET) cost nothing.
 *
 * Owns:       struct pager_trust: one in the account of each family's head, which lives as long as
 *             a task or a pager below it; one in each pager of the kernel.
 * Locks:      trust_lock (RANK_TASK), one for all families: it is taken only twice a request.
 * Invariants: a struct pager_trust of zeroes is full trust.
 * Tests:      pager_wait, silence_trust, tests/fiber/explore_pagers.c, tests/qemu/test_hostile.py.
 */
#include "pager_trust.h"
#include <quarry/mm.h>
#include <quarry/task.h>

#define TRUST_MAX_NS     2000000000LL
#define TRUST_FREE_NS    10000000LL
#define TRUST_LEAST_NS   100000000LL /* with less time left the pager is not asked */
#define TRUST_SHARE      4
#define TRUST_MAX_MISSED 4

static struct spinlock trust_lock = SPINLOCK("pagers' trust", RANK_TASK);

u64 pager_trust_left(struct pager_trust *trust)
{
	u64 now = arch_clock_ns();
	s64 left;

	task_lock(&trust_lock);
	/* Another CPU's clock may be slightly behind. */
	if (now > trust->at) {
		s64 earned = (s64)((now - trust->at) / TRUST_SHARE);

		trust->owed_ns = MAX(trust->owed_ns - earned, 0LL);
		trust->at = now;
	}
	left = TRUST_MAX_NS - trust->owed_ns;
	task_unlock(&trust_lock);
	return left >= TRUST_LEAST_NS ? (u64)left : 0;
}

void pager_trust_charge(struct pager_trust *trust, u64 began, int err, bool cut)
{
	u64 now = arch_clock_ns();
	s64 took = now > began ? (s64)MIN(now - began, ABI_MAX_PAGER_NS) : 0;

	task_lock(&trust_lock);
	if (err == -ETIMEDOUT && !cut) {
		trust->owed_ns = MAX(trust->owed_ns, TRUST_MAX_NS) +
		    (took << MIN(trust->missed, (u32)TRUST_MAX_MISSED));
		trust->missed++;
	} else if (err == ABI_PAGER_DONE) {
		trust->missed = 0;
		trust->owed_ns += MAX(took - TRUST_FREE_NS, 0LL);
	} else {
		trust->owed_ns += took;
	}
	task_unlock(&trust_lock);
}
