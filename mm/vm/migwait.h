/* SPDX-License-Identifier: MIT */
/* migwait.h: waiting for a page that is being moved (migwait.c). */
#ifndef QUARRY_MM_MIGWAIT_H
#define QUARRY_MM_MIGWAIT_H

#include <quarry/mm.h>

/* A waiter's record, on its stack. */
struct migwait {
	const struct memory *mem;
	pfn_t pfn;
	u32 woken;            /* atomic: off the list; no other thread reads the record now */
	struct migwait *next; /* under the bucket's lock */
};

/* Queue @w for the page at @pfn.  Under the lock of the object whose marker was seen. */
void migwait_queue(struct migwait *w, struct memory *mem, pfn_t pfn);
/* Sleep until woken.  Thread, no spin lock held. */
void migwait_sleep(struct migwait *w);
/* Wake all waiters for @pfn.  No spin lock held. */
void migwait_wake(struct memory *mem, pfn_t pfn);
/* The number of waiters for @pfn. */
unsigned migwait_waiting(const struct memory *mem, pfn_t pfn);
/* Forget all waiters, since their machine has ended: for a program that starts another machine. */
void migwait_forget(void);
/* Does @what, a lock or a wait queue, belong to the waiters for pages? */
bool migwait_owns(const void *what);
/* Call fn(arg, pfn) for each waiter of @mem until it returns false.  All CPUs are stopped. */
void migwait_check(const struct memory *mem, bool (*fn)(void *arg, pfn_t pfn), void *arg);

#endif
