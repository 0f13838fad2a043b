/* SPDX-License-Identifier: MIT */
/* warmup.h: lab 0. */
#ifndef QUARRY_LABS_WARMUP_H
#define QUARRY_LABS_WARMUP_H

#include <quarry/mm_types.h>

/* Is @pfn one of the @nr page frames from @start on?  The range may end with the largest pfn. */
bool pfn_in_range(pfn_t pfn, pfn_t start, pfn_t nr);
/*
 * The order of the smallest block, of 2^order pages, that holds @bytes bytes.  0 bytes need a page;
 * NR_ORDERS: no block is large enough.
 */
unsigned order_for(u64 bytes);
/* The first multiple of 2^@order that is not below @value; 0: there is none below 2^64. */
u64 align_up(u64 value, unsigned order);

#endif
