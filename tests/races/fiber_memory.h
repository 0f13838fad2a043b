/* SPDX-License-Identifier: MIT */
/* fiber_memory.h: operations on a small memory, all of which is shown after each. */
#ifndef QUARRY_RACES_FIBER_MEMORY_H
#define QUARRY_RACES_FIBER_MEMORY_H

#include <quarry/types.h>

/*
 * Run @operations, with ';' between them, and print a line of JSON for the memory at first and for
 * each of them.  False: one could not be read, or did not return.  Context: outside all CPUs.
 */
bool play_memory(const char *operations);

#endif
