/* SPDX-License-Identifier: MIT */
/* crowd.h: programs in ring 3 that hold memory and verify it, until the kernel stops them. */
#ifndef DEMO_CROWD_H
#define DEMO_CROWD_H

#include <quarry/types.h>

struct crowd;

/*
 * Start @nr programs (user/stress.c), at most CROWD_MAX, that hold about @pages each, and wait
 * until they do.  Returns NULL and prints the reason if there is no such program or no memory, or
 * if too few pages are held in time.
 * Context: thread.
 */
#define CROWD_MAX 8
struct crowd *crowd_start(unsigned nr, unsigned long pages, u64 seed);
/*
 * Let the programs verify all their pages a last time and end; prints a summary.  Returns true if
 * no program reports a wrong page, and no task or thread of them is left.
 */
bool crowd_stop(struct crowd *c);
/* False: a program has ended before crowd_stop. */
bool crowd_is_whole(const struct crowd *c);
/* Pages verified so far, according to the programs' last reports; *@wrong: wrong pages found. */
u64 crowd_verified(const struct crowd *c, u64 *wrong);

#endif
