/* SPDX-License-Identifier: MIT */
/*
 * watch.h: lets a hosted test act at an exact moment, in place of another thread: when a thread
 * comes to a scheduling point, takes or releases a lock, stores, or panics.
 *
 * Only in the programs of the suites (build/host-plain/check and its like); not on fibers, where
 * others decide who runs.  Each thread has a watch of its own, at first that of the thread that
 * starts it: NULL, unless a test has set it.  While a function of the watch runs, its thread is not
 * watched.
 */
#ifndef QUARRY_WATCH_H
#define QUARRY_WATCH_H

#if defined(WATCHED_BUILD) && !defined(RACE_BUILD)
#include <stddef.h>

struct spinlock;
struct sleep_lock;

enum lock_step { LOCK_WANTED, LOCK_TAKEN, LOCK_LEAVING, LOCK_LEFT };

struct watch {
	void (*point)(const char *name); /* sched_point(name) */
	void (*spin)(struct spinlock *lock, enum lock_step step);
	void (*sleep)(struct sleep_lock *lock, enum lock_step step); /* a mutex or a rwsem */
	void (*store)(const void *to);   /* before a store or an atomic operation */
	void (*panic)(const char *text); /* instead of a panic; it does not return */
};
extern __thread const struct watch *thread_watch __attribute__((weak));
__thread const struct watch *thread_watch;

#define WATCH(kind, ...)                                                                           \
	do {                                                                                       \
		const struct watch *watch_ = thread_watch;                                         \
                                                                                                   \
		if (!watch_ || !watch_->kind)                                                      \
			break;                                                                     \
		thread_watch = NULL;                                                               \
		watch_->kind(__VA_ARGS__);                                                         \
		thread_watch = watch_;                                                             \
	} while (0)

static inline void watch_store(const void *to)
{
	WATCH(store, to);
}

static inline const struct watch *watch_get(void)
{
	return thread_watch;
}

static inline void watch_set(const struct watch *watch)
{
	thread_watch = watch;
}
#else
#define watch_get()      NULL
#define watch_set(watch) ((void)(watch))
#define WATCH(kind, ...) ((void)0)
#define watch_store(to)  ((void)0)
#endif

#endif
