/* SPDX-License-Identifier: MIT */
/* rmap.h: the page-table entries of an object's slots; all under the object's lock (rmap.c). */
#ifndef QUARRY_MM_RMAP_H
#define QUARRY_MM_RMAP_H

#include <quarry/mm.h>
#include <quarry/vm.h>

struct tlb_gather;

/* Has the object at most one region?  Under its lock. */
static inline bool rmap_single(const struct vm_object *object)
{
	const struct vm_region *r = RB_ROOT(&object->regions);

	return !r || (!RB_LEFT(r, link) && !RB_RIGHT(r, link));
}
/* From now on @r shows a part of its object; does not show any; shows only the part below @end. */
void rmap_add(struct vm_region *r);
void rmap_remove(struct vm_region *r);
void rmap_cut(struct vm_region *r, uintptr_t end);
/*
 * For check_memory: a region whose r->below is wrong, so that a search would miss regions; NULL:
 * there is none.  *@below: the right value, the last slot that it or any region below it in the
 * object's tree shows.
 */
const struct vm_region *rmap_stale(const struct vm_object *object, u32 *below);
/*
 * If many regions show the slot, rmap_unmap, rmap_age and rmap_restore release the lock in between;
 * it was taken by object_lock.  No other thread reads the slot or makes entries for it meanwhile.
 */

/* Map @page at @va of @r, and note that it has been used.  -EAGAIN: too many references. */
int rmap_map(struct vm_region *r, uintptr_t va, struct page *page);
/*
 * Replace one entry by @with, under the tables' lock too: collect its bits, lower the mapcount.
 * Returns the page, and the caller now has the entry's reference; NULL: the entry was not present.
 */
struct page *rmap_take_entry(struct memory *mem, u64 *entry, u64 with);
/*
 * Replace every entry of slot @index by @with: 0, or a migration entry.  The caller has a reference
 * of its own to the slot's page.  @g gathers the present entries for a flush; NULL: the entries
 * found are migration entries, and the flush of the present entries before them is over.  Returns
 * how many regions show the slot.
 */
unsigned rmap_unmap(struct vm_object *object, u32 index, u64 with, struct tlb_gather *g);
/*
 * Returns which of PTE_ACCESSED and PTE_DIRTY are set in the entries of slot @index.  Clears the
 * former, and gathers these entries in @g for a flush, so that the next call tells what happened
 * since.
 */
u64 rmap_age(struct vm_object *object, u32 index, struct tlb_gather *g);
/*
 * Map @page wherever the migration entry @entry still stands, with the present protection of each
 * region.
 */
void rmap_restore(struct vm_object *object, u32 index, u64 entry, struct page *page);
/*
 * As rmap_unmap and rmap_restore, for a move of @nr pages: in one hold of the tables' lock if the
 * object is rmap_single, else of at most one page.  rmap_migrate turns every entry of pages[] into
 * its migration entry; rmap_arrive maps new[] where those of old[] stand.
 */
void rmap_migrate(struct vm_object *object, struct page **pages, unsigned nr, struct tlb_gather *g);
void rmap_arrive(struct vm_object *object, struct page **old, struct page **new, unsigned nr);

#endif
