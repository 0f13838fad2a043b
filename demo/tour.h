/* SPDX-License-Identifier: MIT */
/* tour.h: what the kernel shows after its selftests. */
#ifndef DEMO_TOUR_H
#define DEMO_TOUR_H

#include <quarry/types.h>

/*
 * Replay a trace, then take a range out of service and bring it back under each policy while stress
 * threads use all memory, then show the counters.  Returns true if all went well.  Context: thread.
 */
bool tour(u64 seed);

/* ---- demo/programs.c ---- */

/*
 * @rounds times take 128 MiB (less on small machines) that programs in ring 3 have mapped out of service
 * and bring them back, the policies in turn, while the programs verify their memory; a line for each if
 * @rounds is 0: then there is one round for each policy.  Returns 0 if each offline succeeded at the first
 * call, each program ended well, check_memory is clean and as many pages are managed as before; else
 * negative, with a line that says what.  Context: thread.
 */
int programs_run(unsigned rounds, u64 seed);
/* Are programs among the boot modules? */
bool programs_are_there(void);

#endif
