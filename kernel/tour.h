/* SPDX-License-Identifier: MIT */
/* tour.h: what the kernel shows after its selftests. */
#ifndef KERNEL_TOUR_H
#define KERNEL_TOUR_H

#include <quarry/types.h>

/*
 * Replay a trace, then take a range out of service and bring it back under each policy while stress
 * threads use all memory, then show the counters.  Returns true if all went well.  Context: thread.
 */
bool tour(u64 seed);

#endif
