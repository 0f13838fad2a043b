/* SPDX-License-Identifier: MIT */
/*
 * plugin.h: the functions of a shared object with an allocator, which `make bench PLUGIN=file.so`
 * measures beside Quarry's.  One thread calls them, for one CPU at a time.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdint.h>

#define PLUGIN_NONE UINT64_MAX

/* Manage frames 0 to @nr - 1, all free, for @cpus CPUs.  Returns 0, or an error. */
int init(uint64_t nr, unsigned cpus);
/* Allocate 2^order frames, aligned to their number.  Returns the first frame, or PLUGIN_NONE. */
uint64_t get(unsigned cpu, unsigned order);
/* Free the block at frame @at.  Returns 0, or an error. */
int put(unsigned cpu, uint64_t at, unsigned order);
/* The number of bytes that the allocator keeps about the frames. */
uint64_t metadata_bytes(void);

#endif
