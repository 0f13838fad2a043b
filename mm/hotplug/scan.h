/* SPDX-License-Identifier: MIT */
/*
 * scan.h: pages that a scan for unmovable pages (page_isolation.c) skips without a full check.
 *
 * Locks:      the zone lock.
 * Tests:      isolation_scan, isolation_exact.
 */
#ifndef QUARRY_MM_SCAN_H
#define QUARRY_MM_SCAN_H

#include "mm/core/page.h"

/* The states that do not prevent isolation, unless the page is pinned or broken. */
static inline u32 states_let_pass(const struct zone *zone, pfn_t block)
{
	enum migratetype type = pageblock_type(pageblock_of(zone->mem, block));
	u32 states = 1U << PG_TAIL | 1U << PG_PCP | 1U << PG_FREEING | 1U << PG_MOVABLE_OPS |
	    1U << PG_LRU | 1U << PG_BALLOON;

	if (zone->kind == ZONE_MOVABLE || type == MT_MOVABLE || type == MT_CMA)
		states |= 1U << PG_ALLOC;
	return states;
}

/* Is @word's state in @passing?  That holds the set twice, so the order's lowest bit is ignored. */
static always_inline bool state_passes(u32 passing, u32 word)
{
	return passing >> (word >> PAGE_STATE_SHIFT & 31) & 1;
}

/*
 * Are the 16 pages from @page on, where a block begins, free or blocks of order 0 in states of
 * @passing, not broken, and never pinned?  Then none of them needs a full check.
 */
static always_inline bool sixteen_pass(const struct page *page, u32 passing)
{
	const struct page *end = page + 16;
	u32 words = 0, word;

#define PASSES(n) (word = page_word(page + (n)), words |= word, state_passes(passing, word))
	for (; page < end; page += 4)
		if (!PASSES(0) || !PASSES(1) || !PASSES(2) || !PASSES(3))
			return false;
#undef PASSES
	return !(words & (PAGE_PINNED | PAGE_ORDER_MASK | PAGE_POISON));
}

#endif
