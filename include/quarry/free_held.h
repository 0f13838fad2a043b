/* SPDX-License-Identifier: MIT */
/* free_held.h: a free that stops at a named point (mm/hotplug/free_held.c). */
#ifndef QUARRY_FREE_HELD_H
#define QUARRY_FREE_HELD_H

#include <quarry/mm.h>

/*
 * mem_free_held - free the block @page of @order, as mem_free_pages does, but call at(arg) at the
 * point free.push_pending: the stack number and its capacity have been read, the page has not been
 * pushed, and interrupts are off.  @at must return in bounded time, and may not allocate or free.
 * Returns 0: the block went into this CPU's cache; 1: it went to the buddy allocator, and @at was
 * not called; -EINVAL as free_pages.  One call at a time.
 * Context: any.  Locks: zone lock if the cache is full or off.
 */
int mem_free_held(struct memory *mem, struct page *page, unsigned order, void (*at)(void *arg),
    void *arg) must_check EXCLUDES(zone_class);

#endif
