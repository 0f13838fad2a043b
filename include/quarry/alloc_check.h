/* SPDX-License-Identifier: MIT */
/*
 * alloc_check.h: checks of each block that an allocation returns, and of each allocation that
 * fails, in checked builds (-DCHECKED_BUILD: all hosted ones, and make kernel CHECKED=1).  In other
 * builds the checks are empty.  The compare of the head's word is made in all builds.
 * A freed small object is filled with ones, so that whoever reads it after its free notices.
 */
#ifndef QUARRY_ALLOC_CHECK_H
#define QUARRY_ALLOC_CHECK_H

struct memory;
struct page;

/*
 * Panic if a page of the block, which is about to be handed out, is flagged: I-H3.  Called before
 * the CPU's interrupts, or the zone lock, let memory_failure see that the block is allocated: from
 * then on it may flag the page.
 */
void poison_check_allocated(const struct memory *mem, const struct page *page, unsigned order);

/* checked_only: a function for a table, NULL in builds without checks. */
#ifdef CHECKED_BUILD
#define alloc_check(mem, page, order) poison_check_allocated((mem), (page), (order))
#define checked_only(function)        (function)
#define free_check(object, size)      memset((object), 0xff, (size))
#else
#define alloc_check(mem, page, order) ((void)0)
#define checked_only(function)        NULL
#define free_check(object, size)      ((void)0)
#endif

#endif
