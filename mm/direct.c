/* SPDX-License-Identifier: MIT */
/*
 * direct.c: alloc_direct and free_direct: the functions of direct_inline.h for any memory, out of
 * line.
 *
 * Owns:       nothing.
 * Locks:      as direct_inline.h.
 * Invariants: as direct_inline.h.
 * Tests:      play_past, page_alloc, pcp, zone_locks, events, poison_race.
 */
#include "mm/direct_inline.h"

struct page *alloc_direct(struct memory *mem, gfp_t gfp, unsigned order)
{
	return direct_alloc(mem, false, gfp, order);
}

bool free_direct(struct memory *mem, struct page *page, unsigned order)
{
	return direct_free(mem, false, page, order);
}
