/* SPDX-License-Identifier: MIT */
/* tour.h: the demonstration after the selftests. */
#ifndef DEMO_TOUR_H
#define DEMO_TOUR_H

#include <quarry/types.h>

/*
 * Show four acts (act.h), and print the numbers of cross-calls and IPIs.  Replays a trace first if
 * trace= names one.  Returns true if each act showed its claim, and all memory is as before.
 * Context: thread.
 */
bool tour(u64 seed);

/* ---- demo/programs.c ---- */

/*
 * @rounds times, offline 128 MiB (less on small machines) that programs in ring 3 have mapped, and
 * bring them back, under each policy in turn.  The programs verify their memory meanwhile.  Then
 * compact all memory while they run.  Returns 0 if each offline succeeded at the first call, each
 * program ended well, check_memory is clean and as many pages are managed as before; else negative,
 * with a line that gives the reason.  Context: thread.
 */
int programs_run(unsigned rounds, u64 seed);
/* Is the program of act 3, stress, among the boot modules? */
bool programs_are_there(void);

#endif
