/* SPDX-License-Identifier: MIT */
/*
 * warmup.c: arithmetic of pages and blocks: lab 0.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 * Tests:      warmup.
 */
#include "labs/0/warmup.h"

bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr)
{
	return pfn >= start && pfn - start < nr;
}

unsigned order_for(u64 bytes)
{
	unsigned order = 0;

	while (order < NR_ORDERS && bytes > (u64)PAGE_SIZE << order)
		order++;
	return order;
}

u64 align_up(u64 value, unsigned order)
{
	u64 mask = (1ULL << order) - 1;

	return (value + mask) & ~mask;
}
