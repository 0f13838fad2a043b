/* SPDX-License-Identifier: MIT */
/* memblock_help.h: lists of boot memory for the suites memblock and memblock_exact. */
#ifndef QUARRY_TESTS_MEMBLOCK_HELP_H
#define QUARRY_TESTS_MEMBLOCK_HELP_H

#include <quarry/ktest.h>
#include <quarry/memblock.h>

#define KB(n) ((phys_t)(n) << 10)
#define TOP   ((phys_t)1 << 40)

/* Empty lists; one test at a time. */
struct memblock *fresh_memblock(void);

#endif
