/* SPDX-License-Identifier: MIT */
/*
 * sched_point.h: names for the places where the order of two CPUs matters.
 *
 * A normal build compiles them to nothing.  A race build (-DRACE_BUILD) calls race_point, which may
 * keep the CPU there until a script lets it go on.  A test that wants to stop a CPU in the hot paths
 * defines SCHED_POINT before it includes the code that carries them; so this file may be
 * included again, and takes what then holds.
 */
#ifdef RACE_BUILD
void race_point(const char *name);
void race_lock_wait(const char *lock);
#endif

/* Before a wait for @lock (its name) that did not get it at once: point lock.wait(NAME). */
#undef sched_wait
#ifdef RACE_BUILD
#define sched_wait(lock) race_lock_wait(lock)
#else
#define sched_wait(lock) ((void)0)
#endif

#undef sched_point
#if defined(SCHED_POINT)
#define sched_point(name) SCHED_POINT(name)
#elif defined(RACE_BUILD)
#define sched_point(name) race_point(name)
#else
#define sched_point(name) ((void)0)
#endif
