/* SPDX-License-Identifier: MIT */
/*
 * lock_attr.h: which lock protects what, written so that clang can check it (`make lint`).
 *
 *   GUARDED_BY(class)      behind a field: it is read and written under a lock of that class
 *   REQUIRES(lock, ...)    behind a function: its caller holds these, and holds them still after it
 *   ACQUIRE(lock, ...)     it takes them; RELEASE gives them back; TRY_ACQUIRE(value, lock) has taken
 *                          it if it returns value
 *   EXCLUDES(lock, ...)    its caller holds none of these: it takes them itself
 *   ASSERT_HELD(class)     from its call on they count as held, for a reason its comment gives
 *   NO_LOCK_ANALYSIS       clang does not look inside, for a reason its comment gives
 *
 * A class stands for all locks of one rank.  C cannot say "the lock beside this field", nor "the lock
 * of the zone this pageblock lies in"; and as two locks of one rank are never held together, the class
 * says nearly as much.  Functions that are given the zone name its own lock besides.
 *
 * What is written with WRITE_ONCE needs the lock, what is looked at with READ_ONCE does not: that is the
 * racy look, and whoever uses it says what it is worth.
 *
 * All of it is nothing but a comment, unless LOCK_ANALYSIS is defined; then the compiler must be clang.
 */
#ifndef QUARRY_LOCK_ATTR_H
#define QUARRY_LOCK_ATTR_H

#ifdef LOCK_ANALYSIS
#define LOCK_ATTR(x) __attribute__((x))
#else
#define LOCK_ATTR(x)
#endif

#define CAPABILITY(what)        LOCK_ATTR(capability(what))
#define GUARDED_BY(class)       LOCK_ATTR(guarded_by(class))
#define ACQUIRED_AFTER(...)     LOCK_ATTR(acquired_after(__VA_ARGS__))
#define REQUIRES(...)           LOCK_ATTR(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...)    LOCK_ATTR(requires_shared_capability(__VA_ARGS__))
#define ACQUIRE(...)            LOCK_ATTR(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...)     LOCK_ATTR(acquire_shared_capability(__VA_ARGS__))
#define TRY_ACQUIRE(value, ...) LOCK_ATTR(try_acquire_capability(value, __VA_ARGS__))
#define RELEASE(...)            LOCK_ATTR(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...)     LOCK_ATTR(release_shared_capability(__VA_ARGS__))
#define EXCLUDES(...)           LOCK_ATTR(locks_excluded(__VA_ARGS__))
#define ASSERT_HELD(...)        LOCK_ATTR(assert_capability(__VA_ARGS__))
#define NO_LOCK_ANALYSIS        LOCK_ATTR(no_thread_safety_analysis)

/* There is no object of this type: only names are used. */
struct lock_class {
	char unused;
} CAPABILITY("lock class");

#endif
