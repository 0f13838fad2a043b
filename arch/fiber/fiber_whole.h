/* SPDX-License-Identifier: MIT */
/* fiber_whole.h: what the hosted program "silence", and those that grade labs, give to tests. */
#ifndef QUARRY_FIBER_WHOLE_H
#define QUARRY_FIBER_WHOLE_H

#include <quarry/types.h>

/*
 * Does fn(arg), called in a copy of this machine, end in a panic with @words in its text?  *@ns:
 * the time that it took.  The caller's machine is not changed.  Context: thread.
 */
bool whole_panics(void (*fn)(void *), void *arg, const char *words, u64 *ns);

/* Runs the tests; returns 0 if all passed.  It is called by the first thread. */
extern int (*whole_run)(const char *which, u64 seed);
/* The program's exit status if nobody gets on. */
#define WHOLE_STUCK 3

#endif
