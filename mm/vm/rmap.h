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
	return object->nr_regions <= 1;
}
/* Add @r to its object's tree of regions; remove it; reduce it to the part below @end. */
void rmap_add(struct vm_region *r);
void rmap_remove(struct vm_region *r);
void rmap_cut(struct vm_region *r, uintptr_t end);
/*
 * For check_memory: a region whose r->below is wrong, so that a search would miss regions; NULL:
 * there is none, and *@nr is the number of regions in the object's tree.  *@below: the right value,
 * the last slot that it or any region below it in the tree shows.
 */
struct vm_region *rmap_stale(struct vm_object *object, u32 *below, u32 *nr);
/*
 * The caller of rmap_unmap, rmap_age or rmap_restore has taken the lock with object_lock.  If many
 * regions show the slot, these functions release the lock in between; meanwhile no other thread
 * reads the slot or makes entries for it.
 */

/* Map @page at @va of @r, and note that it has been used.  -EAGAIN: too many references. */
int rmap_map(struct vm_region *r, uintptr_t va, struct page *page);
/*
 * Replace one entry by @with, also under the tables' lock.  The entry's accessed and dirty bits go
 * to its page, whose mapcount falls.  Returns the page, and the caller now has the entry's
 * reference; NULL: the entry was not present.
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
 * Returns which of PTE_ACCESSED and PTE_DIRTY are set in the entries of slot @index.  Clears
 * PTE_ACCESSED, and gathers the entries that had it in @g for a flush, so that the next call
 * reports only later accesses.
 */
u64 rmap_age(struct vm_object *object, u32 index, struct tlb_gather *g);
/*
 * Map @page wherever the migration entry @entry still stands, with the present protection of each
 * region.
 */
void rmap_restore(struct vm_object *object, u32 index, u64 entry, struct page *page);
/*
 * As rmap_unmap and rmap_restore, for a move of @nr pages: in one hold of the tables' lock if the
 * object is rmap_single; else @nr is at most 1.  rmap_migrate turns every entry of pages[] into its
 * migration entry; rmap_arrive maps each page of new[] where the migration entry of its old[] page
 * stands.
 */
void rmap_migrate(struct vm_object *object, struct page **pages, unsigned nr, struct tlb_gather *g);
void rmap_arrive(struct vm_object *object, struct page **old, struct page **new, unsigned nr);

/*
 * A budget of walks.  To age, to drop or to move a mapped page takes walks over all mappings of its
 * object, which its tasks may make as many as they like.  So work that may choose its pages (a pass
 * of reclaim over a zone's lists, a compaction) has a budget of mappings, and walks for a page only
 * if the object has at most a PASS_SHAREth of what is left: the more mappings, the sooner the pages
 * are left alone, and above PASS_MAPPINGS / PASS_SHARE always.  So no task can use up the budget
 * for objects with fewer mappings than its own.  Up to FREE_MAPPINGS cost nothing.
 */
#define PASS_MAPPINGS 32768u
#define PASS_SHARE    128u
#define FREE_MAPPINGS 8u
/*
 * May the mappings of @page be walked over?  @walked: the used part of the budget.  Under the
 * object's lock.
 */
static inline bool rmap_may_walk(
    u32 *walked, const struct vm_object *object, const struct page *page)
{
	u32 most = object->nr_regions;

	if (!page->mapcount || most <= FREE_MAPPINGS)
		return true;
	if (most > (PASS_MAPPINGS - *walked) / PASS_SHARE)
		return false;
	*walked += most;
	return true;
}

#endif
