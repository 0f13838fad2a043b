/* SPDX-License-Identifier: MIT */
/* rmap.h: from a slot of an object to its entries; all under the object's lock (rmap.c). */
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
/*
 * From now on @r shows a part of its object; shows none any longer; shows only what lies below
 * @end.
 */
void rmap_add(struct vm_region *r);
void rmap_remove(struct vm_region *r);
void rmap_cut(struct vm_region *r, uintptr_t end);
/*
 * For check_memory: a region whose r->below is not *@below, the last slot that it or any region
 * below it in the object's tree shows; NULL: there is none.  A search would miss regions.
 */
const struct vm_region *rmap_stale(const struct vm_object *object, u32 *below);
/*
 * rmap_unmap, rmap_age and rmap_restore release the lock, which object_lock took, where many
 * regions show the slot.  No other thread reads the slot or makes entries for it meanwhile.
 */

/*
 * Map @page, which is in slot @index, at @va of @r: it has been used.  -EAGAIN: too many
 * references.
 */
int rmap_map(struct vm_region *r, uintptr_t va, struct page *page);
/*
 * Take one entry away, under the tables' lock too: collect its bits, lower the mapcount.  Returns
 * the page, whose mapping's reference is the caller's now; NULL if it was not present.
 */
struct page *rmap_take_entry(struct memory *mem, u64 *entry, u64 with);
/*
 * Remove every entry of slot @index.  Its page is @page, to which the caller has a reference of its
 * own.  @with: 0, or the migration entry to leave instead.  @g: NULL if all entries are migration
 * entries and every CPU has flushed what they replaced.  Returns how many regions show the slot.
 */
unsigned rmap_unmap(struct vm_object *object, u32 index, u64 with, struct tlb_gather *g);
/*
 * Which of PTE_ACCESSED and PTE_DIRTY has the machine set in the entries of slot @index? Clears the
 * former and flushes the entries, so that the next call tells what happened since.
 */
u64 rmap_age(struct vm_object *object, u32 index, struct tlb_gather *g);
/*
 * Map @page wherever the migration entry @entry still stands, as its region allows by now.
 */
void rmap_restore(struct vm_object *object, u32 index, u64 entry, struct page *page);
/*
 * rmap_unmap and rmap_restore for a move of @nr pages, of one or of none unless the object is
 * rmap_single: then in one hold of the tables' lock.  Every entry of pages[] becomes its migration
 * entry; where those of old[] stand, new[] is mapped.
 */
void rmap_migrate(struct vm_object *object, struct page **pages, unsigned nr, struct tlb_gather *g);
void rmap_arrive(struct vm_object *object, struct page **old, struct page **new, unsigned nr);

#endif
