/* SPDX-License-Identifier: MIT */
/* check_help.h: a memory at rest, damage planted in it, and the result of check_memory. */
#ifndef QUARRY_TESTS_CHECK_HELP_H
#define QUARRY_TESTS_CHECK_HELP_H

#include "tests/lib/mm_help.h"
#include "tests/lib/plant_help.h"
#include <quarry/poison.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)

/*
 * An allocated page of zone NORMAL. The rest of its pageblock is one free block of each lower
 * order.
 */
extern struct page *kept_page;

/*
 * A memory of 4 pageblocks in zone NORMAL, all free but @kept_page, and of 4 free ones in zone
 * MOVABLE. NULL: there is no memory.
 */
struct memory *sound_memory(struct ktest *t);

void sound_end(struct ktest *t, struct memory *mem);

/*
 * Expect check_memory to fail with a message that starts with @name. Expect the same with more
 * damage in the part that check_memory checks last: it reports the first damage that it finds.
 */
void expect_named(struct ktest *t, struct memory *mem, const char *name, int line);

/* Expect check_memory to report these figures of the damage that is present. */
void expect_figures(struct ktest *t, struct memory *mem, unsigned long pfn, unsigned long have,
    unsigned long want, int line);

/*
 * Fill CPU 0's stack of zone MOVABLE with two pages, @two. The test calls restore_plan at its end.
 */
void cache_two_pages(struct ktest *t, struct memory *mem, struct page **two);

#endif
