/* SPDX-License-Identifier: MIT */
/* fiber_whole.h: what the hosted program "silence" offers its tests. */
#ifndef QUARRY_FIBER_WHOLE_H
#define QUARRY_FIBER_WHOLE_H

#include <quarry/types.h>

/*
 * Does fn(arg), called in a copy of this machine as it is, end in a panic with @words in its text?
 * In *@ns how long that took.  The caller's machine goes on as if nothing had happened.  Context:
 * thread.
 */
bool whole_panics(void (*fn)(void *), void *arg, const char *words, u64 *ns);

#endif
