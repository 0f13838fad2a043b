/* SPDX-License-Identifier: MIT */
/*
 * plugin.h: what a shared object supplies so that `make bench PLUGIN=file.so` measures its
 * allocator beside Quarry's.  One thread calls, for one CPU at a time.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdint.h>

#define PLUGIN_NONE UINT64_MAX

/* Manage frames 0 to @nr - 1, all free, for @cpus CPUs.  0, or an error. */
int init(uint64_t nr, unsigned cpus);
/* The first of 2^order free frames, aligned to as many; PLUGIN_NONE: there are none. */
uint64_t get(unsigned cpu, unsigned order);
/* Free the block at frame @at.  0, or an error. */
int put(unsigned cpu, uint64_t at, unsigned order);
/* All that it keeps about the frames. */
uint64_t metadata_bytes(void);

#endif
