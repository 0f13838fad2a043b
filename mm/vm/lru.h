/* SPDX-License-Identifier: MIT */
/* lru.h: the lists of objects' pages by age, and taking pages off them (lru.c). */
#ifndef QUARRY_MM_LRU_H
#define QUARRY_MM_LRU_H

#include <quarry/mm.h>
#include <quarry/vm.h>

/*
 * Make the new page @page (ALLOC) page @index of @object, its owner from now on.  False: the page
 * broke since its allocation, and stays ALLOC.
 */
bool lru_add_page(struct memory *mem, struct page *page, struct vm_object *object, u32 index)
    must_check;
/*
 * An object releases @nr of its pages: take them off their lists and clear their owners.  The
 * caller keeps the references.  Neighbours in pages[] of one zone share one hold of the lru lock.
 */
void lru_release_pages(struct memory *mem, struct page **pages, unsigned nr) EXCLUDES(lru_class);
/*
 * Replace each of the @nr pages old[], which are isolated and lose their owners, by the page at the
 * same place in new[] (ALLOC), whose owner is set already.  At most LRU_AT_ONCE; neighbours of one
 * zone share one hold of the lru lock.  Returns how many pages at the start of old[] were replaced:
 * fewer than @nr if the next page of new[] broke.
 */
#define LRU_AT_ONCE 16
unsigned lru_replace_pages(struct memory *mem, struct page **old, struct page **new, unsigned nr)
    must_check EXCLUDES(lru_class);
/*
 * isolate_lru_page - isolate an object's page that a scanner found at @pfn.  Returns 0: the page is
 * ISO_MIG, with one more reference; -EAGAIN: it has no object just now, or too many references;
 * -EBUSY: it is pinned or broken. Locks: lru.
 */
int isolate_lru_page(struct memory *mem, pfn_t pfn) must_check;
/*
 * isolate_lru_page for the *@nr pages whose pfns are in found[], all of @zone, a few in each hold
 * of its lru lock.  Isolated pages go to pages[]; returns their number.  Pages that belong to no
 * object just now (-EAGAIN) stay in found[], and *@nr becomes their number.
 */
unsigned lru_isolate_found(struct zone *zone, u32 *found, unsigned *nr, struct page **pages)
    EXCLUDES(lru_class);
/*
 * isolate_lru_page for a page whose memory is broken: isolates it even if it is pinned, or its
 * object's pages never move.  -EOVERFLOW: it has the most references possible.
 */
int isolate_broken_page(struct memory *mem, pfn_t pfn) must_check;
/* The pages that lru_isolate_tail takes off a list. */
enum lru_take {
	TAKE_ANY,
	TAKE_UNMAPPED, /* not mapped, clean and not referenced; the others stay where they are */
	TAKE_LENT,     /* in CMA pageblocks; the others move to the young end */
	TAKE_UNLENT,   /* outside of CMA pageblocks; the others move to the young end */
};
/*
 * Isolate up to @max pages of list @which, oldest first, into pages[]; returns how many.  At most
 * LRU_SCAN pages are scanned.  Pinned pages move to the young end.  The isolated pages count in
 * zone->nr_reclaiming.
 */
#define LRU_SCAN (4 * RECLAIM_BATCH)
/* The most pages that reclaim takes off a list at a time. */
#define RECLAIM_BATCH       32
#define RECLAIM_BATCH_ORDER MIN_CONST(5, MAX_ORDER) /* of such a block, or the largest */
unsigned lru_isolate_tail(struct zone *zone, unsigned which, enum lru_take take,
    struct page **pages, unsigned max) EXCLUDES(lru_class);
/* Is @page in a CMA pageblock?  An unlocked read. */
static inline bool page_lent(const struct zone *zone, const struct page *page)
{
	return pageblock_type(pageblock_of(zone->mem, page_to_pfn_in(zone->mem, page))) == MT_CMA;
}
/* Put an isolated page back, or free it if its object has released it.  Locks: lru, zone. */
void putback_lru_page(struct memory *mem, struct page *page);
/* An isolated page's object, with a reference; NULL: it has released the page.  Locks: lru. */
struct vm_object *lru_get_object(struct memory *mem, struct page *page);
/* lru_get_object for @nr pages, into object[]; neighbours of one zone share one lock hold. */
void lru_get_objects(struct memory *mem, struct page **pages, unsigned nr,
    struct vm_object **object) EXCLUDES(lru_class);

/* The number of pages on the lists from which reclaim drops pages; a hint. */
static inline unsigned long zone_evictable(const struct zone *zone)
{
	return READ_ONCE(zone->lru[LRU_INACTIVE].nr) + READ_ONCE(zone->lru[LRU_ACTIVE].nr);
}

#endif
