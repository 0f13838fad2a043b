/* SPDX-License-Identifier: MIT */
/* pager_trust.h: the time that reclaim may wait for a family's pagers: see pager_trust.c. */
#ifndef KERNEL_PAGER_TRUST_H
#define KERNEL_PAGER_TRUST_H

#include <quarry/account.h>

/* Context of both functions: thread, no spin lock held. */

/* The time that reclaim may wait for a pager now, in ns; 0: no wait is allowed. */
u64 pager_trust_left(struct pager_trust *trust);
/*
 * Charge a call for ABI_PAGER_CLEAN that has just ended, and @began at that time; @err: negative
 * errno, or the pager's answer.  @cut: the wait was shorter than the pager's trust allowed.
 */
void pager_trust_charge(struct pager_trust *trust, u64 began, int err, bool cut);

#endif
