/* SPDX-License-Identifier: MIT */
/*
 * sched_point.h: names for the places where the order of two CPUs matters.
 *
 * A normal build compiles them to nothing, a hosted one lets a test act there (watch.h).  A race
 * build (-DRACE_BUILD) calls race_point, which may keep the CPU there until a script lets it
 * continue.  A test that wants to stop a CPU in the hot paths defines SCHED_POINT before it
 * includes their code; so this file may be included again, with another definition.
 */
#include <quarry/types.h>

#ifdef RACE_BUILD

void race_point(const char *name);
void race_lock_wait(const char *lock);
void race_look(const void *what);
bool race_looked(const void *what, bool sleeps, bool found);
void race_wake(const void *what);
u64 race_time(u64 ns);
bool race_turns(bool had);
#endif

/* Before a wait for @lock (its name) that was not free: point lock.wait(NAME). */
#undef sched_wait
#ifdef RACE_BUILD
#define sched_wait(lock) race_lock_wait(lock)
#else
#define sched_wait(lock) ((void)0)
#endif

/*
 * One more check of the condition @cond, in a wait for @what: a race build decides when the thread
 * makes this check.  @sleeps: the thread sleeps between two checks, until sched_wake(what).  When a
 * race is stepped through, the stepper sets the clock (sched_time) and tells whether all threads
 * have had a turn (sched_turns).
 */
#undef sched_look
#undef sched_wake
#undef sched_time
#undef sched_turns
#ifdef RACE_BUILD
#define sched_look(what, sleeps, cond) (race_look(what), race_looked((what), (sleeps), (cond)))
#define sched_wake(what)               race_wake(what)
#define sched_time(ns)                 race_time(ns)
#define sched_turns(had)               race_turns(had)
#else
#define sched_look(what, sleeps, cond) (cond)
#define sched_wake(what)               ((void)0)
#define sched_time(ns)                 (ns)
#define sched_turns(had)               (had)
#endif

#undef sched_point
#if defined(SCHED_POINT)
#define sched_point(name) SCHED_POINT(name)
#elif defined(RACE_BUILD)
#define sched_point(name) race_point(name)
#else
#define sched_point(name) WATCH(point, name)
#endif
