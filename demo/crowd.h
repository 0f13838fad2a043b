/* SPDX-License-Identifier: MIT */
/* crowd.h: programs in ring 3 that hold memory and verify it, for as long as the kernel lets them. */
#ifndef DEMO_CROWD_H
#define DEMO_CROWD_H

#include <quarry/types.h>

struct crowd;

/*
 * Start @nr programs (user/stress.c, up to CROWD_MAX) that hold about @pages each, and wait until they
 * do.  NULL, with a line that says why: no such program, no memory, or they did not get so far.
 * Context: thread.
 */
#define CROWD_MAX 8
struct crowd *crowd_start(unsigned nr, unsigned long pages, u64 seed);
/*
 * Let them verify all they hold a last time, and end; prints what became of them.  Returns true if each
 * of them says that no page was ever wrong, and nothing of them is left.
 */
bool crowd_stop(struct crowd *c);
/* Have any of them ended before their time? */
bool crowd_is_whole(const struct crowd *c);

#endif
