/* SPDX-License-Identifier: MIT */
/* fiber_whole.h: functions of the hosted program "silence" for its tests. */
#ifndef QUARRY_FIBER_WHOLE_H
#define QUARRY_FIBER_WHOLE_H

#include <quarry/types.h>

/*
 * Does fn(arg), called in a copy of this machine, end in a panic with @words in its text?  *@ns:
 * the time that it took.  The caller's machine is not changed.  Context: thread.
 */
bool whole_panics(void (*fn)(void *), void *arg, const char *words, u64 *ns);

#endif
