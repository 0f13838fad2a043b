/* SPDX-License-Identifier: MIT */
/* lru.h: the lists of objects' pages by age, and taking pages off them (lru.c). */
#ifndef QUARRY_MM_LRU_H
#define QUARRY_MM_LRU_H

#include <quarry/mm.h>
#include <quarry/vm.h>

/* A new page (ALLOC) becomes one of @object's; its owner from now on. */
void lru_add_page(struct memory *mem, struct page *page, struct vm_object *object, u32 index);
/* The object releases it: off its list, without an owner.  The reference stays the caller's. */
void lru_release_page(struct memory *mem, struct page *page);
/* The same of @nr pages of one object, in a hold of the lock for those of one zone side by side. */
void lru_release_pages(struct memory *mem, struct page **pages, unsigned nr) EXCLUDES(lru_class);
/*
 * Each of the @nr pages new[] (ALLOC), whose owner is named already, comes in the place of that in
 * old[], which is isolated and is released; at most LRU_AT_ONCE, in as few holds of locks as they
 * have zones.
 */
#define LRU_AT_ONCE 16
void lru_replace_pages(struct memory *mem, struct page **old, struct page **new, unsigned nr)
    EXCLUDES(lru_class);
/*
 * isolate_lru_page - take an object's page that a scanner found at @pfn.  Returns 0: the page is
 * ISO_MIG, with one more reference; -EAGAIN: it has no object just now, or too many references;
 * -EBUSY: it is pinned or broken. Locks: lru.
 */
int isolate_lru_page(struct memory *mem, pfn_t pfn) must_check;
/*
 * The same of the *@nr pages at found[], all of @zone, a few in each hold of its lock: those that
 * it isolates go to pages[], and it returns how many; those that are no object's just now (-EAGAIN)
 * stay in found[], *@nr of them.
 */
unsigned lru_isolate_found(struct zone *zone, u32 *found, unsigned *nr, struct page **pages)
    EXCLUDES(lru_class);
/*
 * The same of one whose memory is broken: also pinned, also of an object whose pages stay where
 * they are. -EOVERFLOW: it has as many references as there can be.
 */
int isolate_broken_page(struct memory *mem, pfn_t pfn) must_check;
/*
 * The same for up to @max pages of one list, oldest first, into pages[]; returns how many.
 * @unmapped: only those that nobody maps and that are clean and untouched; the others stay where
 * they are.  Pinned ones count as young.  They count in zone->nr_reclaiming.
 */
unsigned lru_isolate_tail(struct zone *zone, unsigned which, bool unmapped, struct page **pages,
    unsigned max) EXCLUDES(lru_class);
/* Put it back on its list, or free it if its object has released it.  Locks: lru, zone. */
void putback_lru_page(struct memory *mem, struct page *page);
/* The object of an isolated page, with a reference; NULL if it has released it.  Locks: lru. */
struct vm_object *lru_get_object(struct memory *mem, struct page *page);
/* The same of @nr pages into object[], in a hold of the lock for those of one zone side by side. */
void lru_get_objects(struct memory *mem, struct page **pages, unsigned nr,
    struct vm_object **object) EXCLUDES(lru_class);

#endif
