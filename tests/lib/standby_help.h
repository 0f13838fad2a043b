/* SPDX-License-Identifier: MIT */
/*
 * standby_help.h: a memory most of which is on standby, with or without descriptors; for the suites
 * of standby memory.
 */
#ifndef QUARRY_TESTS_STANDBY_HELP_H
#define QUARRY_TESTS_STANDBY_HELP_H

#include "tests/lib/add_help.h"

/*
 * Pageblocks of the zone: those online at the start, and those of one step of the standby memory.
 */
#define ONLINE 4u
#define STEP   4u
#define STEPS  4u
#define TOTAL  (ONLINE + STEPS * STEP)

extern const struct memory_arrays *inside; /* memory_config.arrays of the next memory */

/* A memory of one zone, on standby from ONLINE on. Pageblock @hole has no memory; 0: all have. */
struct memory *standing_by(struct ktest *t, enum zone_kind kind, unsigned hole);

/* ---- descriptors inside ---- */

extern int inside_result;
extern pfn_t inside_start, inside_at;
extern void (*inside_meanwhile)(struct memory *mem);

/* Pages that the descriptors of a step take. */
#define OWN (ALIGN_UP(BLOCK(STEP) * sizeof(struct page), PAGE_SIZE) / PAGE_SIZE)

struct memory *without_descriptors(struct ktest *t);
/*
 * Wait, ten seconds at most, until the reclaim thread has brought @blocks pageblocks online.
 * Returns the number of pageblocks.
 */
unsigned long brought(struct memory *mem, unsigned long blocks);

#endif
