/* SPDX-License-Identifier: MIT */
/* check_help.h: a memory at rest, damage planted in it, and the result of check_memory. */
#ifndef QUARRY_TESTS_CHECK_HELP_H
#define QUARRY_TESTS_CHECK_HELP_H

#include "tests/lib/mm_help.h"
#include "tests/lib/plant_help.h"
#include <quarry/poison.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

/* Of order 0, allocated in zone NORMAL: one free block of each lower order. */
extern struct page *kept_page;

/* Zone NORMAL of 4 pageblocks, that of @kept_page cut down; zone MOVABLE of 4, all free. */
struct memory *sound_memory(struct ktest *t);

void sound_end(struct ktest *t, struct memory *mem);

/*
 * check_memory fails, and its message starts with @name; so too if there is more damage in the part
 * that it checks last, because it reports the first damage.
 */
void expect_named(struct ktest *t, struct memory *mem, const char *name, int line);

/* Expect check_memory to report these figures of the damage that is present. */
void expect_figures(struct ktest *t, struct memory *mem, unsigned long pfn, unsigned long have,
    unsigned long want, int line);

/* Fill CPU 0's stack of zone MOVABLE with two pages, @two; restore_plan at the end. */
void cache_two_pages(struct ktest *t, struct memory *mem, struct page **two);

#endif
