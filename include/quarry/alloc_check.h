/* SPDX-License-Identifier: MIT */
/*
 * alloc_check.h: what a checked build (-DCHECKED_BUILD: all hosted ones, and make kernel CHECKED=1) asks of each
 * block that an allocation returns.  Elsewhere it is nothing: the compare of the head's word is there anyway.
 */
#ifndef QUARRY_ALLOC_CHECK_H
#define QUARRY_ALLOC_CHECK_H

#ifdef CHECKED_BUILD
/* Panics if one of its pages is flagged as broken (I-H3). */
#define alloc_check(mem, page, order) poison_check_allocated((mem), (page), (order))
#else
#define alloc_check(mem, page, order) ((void)0)
#endif

#endif
