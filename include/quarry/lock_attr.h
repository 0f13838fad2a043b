/* SPDX-License-Identifier: MIT */
/*
 * lock_attr.h: annotations that say which lock protects what, checked by clang (`make lint`).
 *
 *   GUARDED_BY(class)      of a field: it is read and written under a lock of that class
 *   REQUIRES(lock, ...)    of a function: the caller holds these locks, before and after the call
 *   ACQUIRE(lock, ...)     the function takes them; RELEASE: it releases them;
 *                          TRY_ACQUIRE(value, lock): it takes the lock if it returns value;
 *                          with _SHARED: the shared side of a rwsem
 *   EXCLUDES(lock, ...)    the caller holds none of these: the function takes them itself
 *   ASSERT_HELD(class)     from this call on locks of the class count as held, for the reason in
 *                          the comment
 *   NO_LOCK_ANALYSIS       clang does not check the function, for the reason in the comment
 *
 * A class stands for all locks of one rank.  C cannot name "the lock beside this field", nor "the
 * lock of the zone of this pageblock".  As two locks of one rank are never held together, the class
 * says nearly as much.  Functions with a zone as parameter name its own lock too.
 *
 * A write with WRITE_ONCE needs the lock, a read with READ_ONCE does not: it is an unlocked read,
 * and the code that uses it says what the result is worth.
 *
 * All annotations are empty unless LOCK_ANALYSIS is defined; then the compiler must be clang.
 */
#ifndef QUARRY_LOCK_ATTR_H
#define QUARRY_LOCK_ATTR_H

#ifdef LOCK_ANALYSIS
#define LOCK_ATTR(x) __attribute__((x))
#else
#define LOCK_ATTR(x)
#endif

#define CAPABILITY(what)               LOCK_ATTR(capability(what))
#define GUARDED_BY(class)              LOCK_ATTR(guarded_by(class))
#define ACQUIRED_AFTER(...)            LOCK_ATTR(acquired_after(__VA_ARGS__))
#define REQUIRES(...)                  LOCK_ATTR(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...)           LOCK_ATTR(requires_shared_capability(__VA_ARGS__))
#define ACQUIRE(...)                   LOCK_ATTR(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...)            LOCK_ATTR(acquire_shared_capability(__VA_ARGS__))
#define TRY_ACQUIRE(value, ...)        LOCK_ATTR(try_acquire_capability(value, __VA_ARGS__))
#define TRY_ACQUIRE_SHARED(value, ...) LOCK_ATTR(try_acquire_shared_capability(value, __VA_ARGS__))
#define RELEASE(...)                   LOCK_ATTR(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...)            LOCK_ATTR(release_shared_capability(__VA_ARGS__))
#define EXCLUDES(...)                  LOCK_ATTR(locks_excluded(__VA_ARGS__))
#define ASSERT_HELD(...)               LOCK_ATTR(assert_capability(__VA_ARGS__))
#define NO_LOCK_ANALYSIS               LOCK_ATTR(no_thread_safety_analysis)

/* No object of this type is defined: only its name is used. */
struct lock_class {
	char unused;
} CAPABILITY("lock class");

#endif
