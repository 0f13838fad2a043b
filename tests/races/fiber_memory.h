/* SPDX-License-Identifier: MIT */
/* fiber_memory.h: operations on a small memory, which is shown as a whole after each of them. */
#ifndef QUARRY_RACES_FIBER_MEMORY_H
#define QUARRY_RACES_FIBER_MEMORY_H

#include <quarry/types.h>

/*
 * Run @operations, with ';' between them, and print a line of JSON for the memory at first and for
 * each operation.  False: an operation could not be read, or did not return.  Context: outside all
 * CPUs.
 */
bool play_memory(const char *operations);

#endif
