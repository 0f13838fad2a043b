/* SPDX-License-Identifier: MIT */
/*
 * task_lock.h: the locks of rank TASK, which protect tasks, tables of capabilities, endpoints and
 * pagers; one class for clang (lock_attr.h).  No two of them are held at once.
 */
#ifndef QUARRY_TASK_LOCK_H
#define QUARRY_TASK_LOCK_H

#include <quarry/port.h>

extern struct lock_class task_class;

/* As spin_lock and spin_unlock. */
static inline void task_lock(struct spinlock *lock) ACQUIRE(lock, task_class) NO_LOCK_ANALYSIS
{
	spin_lock(lock);
}

static inline void task_unlock(struct spinlock *lock) RELEASE(lock, task_class) NO_LOCK_ANALYSIS
{
	spin_unlock(lock);
}

#endif
