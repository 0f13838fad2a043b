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
/*
 * isolate_lru_page - take an object's page that a scanner found at @pfn.  Returns 0, and it is
 * ISO_MIG with one more reference; -EAGAIN it is none just now, or has too many; -EBUSY pinned.
 * Locks: lru.
 */
int isolate_lru_page(struct memory *mem, pfn_t pfn) must_check;
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

#endif
