/* SPDX-License-Identifier: MIT */
/*
 * subject.h: the functions of an allocator under test: those of plugin.h, and three that may lack.
 */
#ifndef TIME_SUBJECT_H
#define TIME_SUBJECT_H

#include <plugin.h>

#define SUBJECT_FRAMES ((uint64_t)2 << 20) /* 8 GiB */

/* Free @nr frames of order 0. */
__attribute__((weak)) void put_many(unsigned cpu, uint64_t *at, unsigned nr);
/* The calling thread is CPU @cpu from now on; the first thread is CPU 0 already. */
__attribute__((weak)) void enter(unsigned cpu);
/* Turn the caches of CPUs on or off.  Returns 0, or an error. */
__attribute__((weak)) int cache(int on);

#endif
