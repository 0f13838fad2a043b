/* SPDX-License-Identifier: MIT */
/*
 * test_step_span.c: the span of a zone that gets its first memory between two reads.  Hosted only.
 */
#include <quarry/types.h>

static void read_one(void);

#undef load_acquire
#undef READ_ONCE
#define load_acquire(p) (read_one(), __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define READ_ONCE(x)    (read_one(), __atomic_load_n(&(x), __ATOMIC_RELAXED))
#include "mm/core/zone.h"
#include <quarry/ktest.h>

static struct zone zone;
static unsigned reads, at; /* the zone grows before read number @at */

static void read_one(void)
{
	if (++reads == at) {
		zone.start_pfn = 4 * PAGEBLOCK_PAGES;
		zone.end_pfn = 6 * PAGEBLOCK_PAGES;
	}
}

KTEST_SUITE(step_span, 0);

KTEST(first_span_is_seen_with_its_start)
{
	pfn_t start, end;

	for (at = 1; at <= 3; at++) {
		zone.start_pfn = zone.end_pfn = 0;
		reads = 0;
		end = zone_span(&zone, &start);
		EXPECT(t, start >= end || start == 4 * PAGEBLOCK_PAGES);
	}
	EXPECT_EQ(t, reads, 2);
}
