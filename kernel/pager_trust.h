/* SPDX-License-Identifier: MIT */
/* pager_trust.h: the time that reclaim may wait for the pagers of one task: see pager_trust.c. */
#ifndef KERNEL_PAGER_TRUST_H
#define KERNEL_PAGER_TRUST_H

#include <quarry/pager.h>

struct task;

/* Context of all: thread, no spin lock held. */

/*
 * The trust of all pagers of @task, with a reference (pager_trust_put); NULL, a thread of the
 * kernel, gets one of its own.  NULL: no memory.
 */
struct pager_trust *pager_trust_of(struct task *task);
/* May reclaim wait for a pager now? */
bool pager_trust_left(struct pager_trust *trust);
/*
 * Charge a call for @what (ABI_PAGER_...) that took @took_ns; @err: negative errno, or the pager's
 * answer.  @timeout_ns: the pager's.
 */
void pager_trust_charge(struct pager_trust *trust, u64 timeout_ns, u32 what, u64 took_ns, int err);

#endif
