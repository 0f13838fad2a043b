/* SPDX-License-Identifier: MIT */
/*
 * vm.h: what the sources of mm/vm share: page tables, shootdowns, waiters for pages, objects, their
 * entries, spaces.
 *
 * Locks, outer to inner: space->change (sleeps), space->lock, object->lock, pagetable.lock, a
 * bucket of the waiters, the zone's lru lock.  An entry of a page table, the mapcount of the page
 * in it and the slot that names the page change together, under the lock of the object.  The
 * tables' lock is taken inside it, so a thread that knows an address, but not the object, can keep
 * an entry from changing.
 */
#ifndef QUARRY_MM_VM_H
#define QUARRY_MM_VM_H

#include <quarry/mm.h>
#include <quarry/vm.h>

/* ---- page tables and their entries (pagetable.c) ---- */

/* Create a top table; all tables are charged to this thread's account.  -ENOMEM, -EDQUOT. */
int pt_init(struct pagetable *pt, struct memory *mem);
/* Free all tables; no entry of the last level is in use. */
void pt_destroy(struct pagetable *pt);
/* Create the missing tables down to the one for @va.  May sleep; -ENOMEM, -EDQUOT. */
int pt_prepare(struct pagetable *pt, uintptr_t va);
/* The entry for @va; NULL: there is no table for it.  Tables stay, so the entry stays valid. */
u64 *pt_entry(const struct pagetable *pt, uintptr_t va);
/* pt_entry under the tables' lock; pt_entry_locked is quick if the last call found its table. */
u64 *pt_entry_anew(struct pagetable *pt, uintptr_t va) REQUIRES(pt->lock);
#define PT_NO_LEAF (~(uintptr_t)0) /* for leaf_of: no leaf is remembered */
static inline u64 *pt_entry_locked(struct pagetable *pt, uintptr_t va) REQUIRES(pt->lock)
{
	if (likely(pt->leaf_of == va >> PT_SHIFT(1)))
		return pt->leaf + (va >> PAGE_SHIFT & (PT_ENTRIES - 1));
	return pt_entry_anew(pt, va);
}
/* Move *@va to the first address from it on, below @end, that has a table.  Its entry, or NULL. */
u64 *pt_next(const struct pagetable *pt, uintptr_t *va, uintptr_t end);
/* pt_next, if @entry is the entry for the page before *@va, or NULL. */
static inline u64 *pt_after(const struct pagetable *pt, u64 *entry, uintptr_t *va, uintptr_t end)
{
	if (entry && *va < end && *va & ((UINT64_C(1) << PT_SHIFT(1)) - 1))
		return entry + 1;
	return pt_next(pt, va, end);
}

/* Make a present entry for the page at @pfn with the protection @prot. */
static inline u64 pte_make(pfn_t pfn, unsigned prot)
{
	u64 pte = (u64)pfn << PAGE_SHIFT | PTE_PRESENT | PTE_USER;

	KASSERT(pte_pfn(pte) == pfn && prot & VM_READ);
	if (prot & VM_WRITE)
		pte |= PTE_WRITE;
	if (!(prot & VM_EXEC))
		pte |= PTE_NX;
	return pte;
}

static inline u64 pte_migration(pfn_t pfn)
{
	return (u64)pfn << PAGE_SHIFT | PTE_MIGRATING;
}

static inline bool pte_is_migration(u64 pte)
{
	return (pte & (PTE_PRESENT | PTE_MIGRATING)) == PTE_MIGRATING;
}

/* ---- shootdowns: changed entries are gathered, then flushed everywhere (tlb.c) ---- */

#define TLB_ENTRIES 32 /* if more entries have changed, all user entries are flushed */
#define TLB_PAGES   64
#define TLB_CPUS    256 /* on larger machines every CPU gets the IPI */

/* Changed mappings, the CPUs that must flush them, and pages whose references are dropped then. */
struct tlb_gather {
	struct memory *mem;
	bool everybody; /* the machine has more than TLB_CPUS CPUs: send the IPI to all */
	unsigned nr;    /* entries changed */
	unsigned nr_pages;
	cpumask_t cpus[CPUMASK_WORDS(TLB_CPUS)];
	struct {
		phys_t root;
		uintptr_t va;
	} entry[TLB_ENTRIES];
	u32 page[TLB_PAGES]; /* pfns take half the stack space of pointers */
};

void tlb_gather_init(struct tlb_gather *g, struct memory *mem);
/* Gather the entry for @va, which has just been changed. */
static inline void tlb_gather_entry(
    struct tlb_gather *g, const struct vm_space *space, uintptr_t va)
{
	if (g->nr < TLB_ENTRIES) {
		g->entry[g->nr].root = space->pt.root;
		g->entry[g->nr].va = va;
	}
	g->nr++;
}
/* Gather all user entries of the CPUs that are gathered: which ones have changed is not known. */
static inline void tlb_gather_all(struct tlb_gather *g)
{
	g->nr = TLB_ENTRIES + 1;
}
/* Gather the CPUs that use @space, after its entries were changed and under the same lock. */
void tlb_gather_cpus(struct tlb_gather *g, const struct vm_space *space);
/* Gather the CPUs of @active, a mask of @nr CPUs; beyond TLB_CPUS of them, all if there is one. */
void tlb_gather_mask(struct tlb_gather *g, const cpumask_t *active, unsigned nr);
/* tlb_gather_entry and tlb_gather_cpus, for one entry. */
void tlb_gather_add(struct tlb_gather *g, const struct vm_space *space, uintptr_t va);
/*
 * Drop the caller's reference to @page when no CPU can reach the page through an old entry.  If a
 * CPU has died with the space's tables loaded, the reference becomes a pin until that CPU has
 * loaded other tables.
 */
void tlb_gather_page(struct tlb_gather *g, struct page *page);
static inline bool tlb_gather_full(const struct tlb_gather *g)
{
	return g->nr_pages == TLB_PAGES;
}
/*
 * Make every CPU concerned flush the entries, in one cross-call, then drop the references.  False:
 * a CPU has died with the tables loaded, and may still use the entries.
 * Context: thread, may sleep, no spin lock held; never from an allocation.
 */
bool tlb_flush(struct tlb_gather *g);
/*
 * After tlb_flush has returned false: pin a page that was not gathered, but that only a reference
 * of the caller kept until the flush.  It must not be freed, moved or dropped then.
 */
void tlb_keep(struct memory *mem, struct page *page);
/*
 * When this returns, no CPU that is online can reach a page by an entry that any thread had emptied
 * before the call, even if that thread has not made its shootdown yet: all CPUs flush all user
 * entries.  A page that can be reached so has a reference.  Context: as tlb_flush.
 */
void tlb_flush_pending(struct memory *mem);
/*
 * Drop the pins that are kept for dead CPUs, if no dead CPU has the tables of a space of @mem
 * loaded any more.  tlb_flush does this first.  Context: as tlb_flush, but also from an allocation.
 */
void tlb_release_kept(struct memory *mem);
/*
 * For a simulated machine: called with each arch_tlb_flush_page and, with @all, each
 * arch_tlb_flush_user.  irqs off.
 */
extern void (*tlb_flush_hook)(phys_t root, uintptr_t va, bool all);

/* ---- waiting for a page that is being moved (migwait.c) ---- */

/* A waiter's record, on its stack. */
struct migwait {
	const struct memory *mem;
	pfn_t pfn;
	u32 woken;            /* atomic: off the list; no other thread reads the record now */
	struct migwait *next; /* under the bucket's lock */
};

/* Queue @w for the page at @pfn.  Under the lock of the object whose marker was seen. */
void migwait_queue(struct migwait *w, struct memory *mem, pfn_t pfn);
/* Sleep until woken.  Thread, no spin lock held. */
void migwait_sleep(struct migwait *w);
/* Wake all waiters for @pfn.  No spin lock held. */
void migwait_wake(struct memory *mem, pfn_t pfn);
/* Forget all waiters, since their machine has ended: for a program that starts another machine. */
void migwait_forget(void);
/* Does @what, a lock or a wait queue, belong to the waiters for pages? */
bool migwait_owns(const void *what);
/* Call fn(arg, pfn) for each waiter of @mem until it returns false.  All CPUs are stopped. */
void migwait_check(const struct memory *mem, bool (*fn)(void *arg, pfn_t pfn), void *arg);

/* ---- objects (vm_object.c) ---- */

/*
 * The value of a slot: 0, if it is empty; the page, to which it holds a reference; a marker, the
 * pfn of a page that a migrator has taken out of the slot, with the reference; or LOST: the page's
 * memory broke, and the content is lost.
 */
#define SLOT_MARKER 1UL
#define SLOT_LOST   2UL

static inline u64 slot_marker(pfn_t pfn)
{
	return (u64)pfn << 1 | SLOT_MARKER;
}

static inline bool slot_is_marker(u64 slot)
{
	return slot & SLOT_MARKER;
}

static inline pfn_t slot_marker_pfn(u64 slot)
{
	return slot >> 1;
}

/* Does the slot hold a page? */
static inline bool slot_has_page(u64 slot)
{
	return slot && !slot_is_marker(slot) && slot != SLOT_LOST;
}

static inline struct page *slot_page(u64 slot)
{
	return (struct page *)(uintptr_t)slot;
}

/*
 * Make sure that slot @index can be filled.  @gfp: 0, or GFP_ATOMIC.  May sleep.
 * Returns 0 the slot is empty; 1 it is not; -ENOMEM.
 */
int object_prepare(struct vm_object *object, u32 index, gfp_t gfp);
/* Under the object's lock: the place of slot @index; NULL: it was never filled. */
u64 *object_slot(const struct vm_object *object, u32 index);
/* The value of slot @index; 0 if it was never filled. */
u64 object_lookup(struct vm_object *object, u32 index);
/*
 * Under the object's lock: put a new page (ALLOC, one reference) into slot @index, at @slot.
 * False: the page broke since its allocation, and nothing has changed.
 */
bool object_fill(struct vm_object *object, u64 *slot, u32 index, struct page *page) must_check;
/*
 * Under the object's lock: put @with (0, or SLOT_LOST) into the slot of @page, which no entry shows
 * and which leaves the object.  The caller now has the slot's reference.
 */
void object_release_page(struct vm_object *object, struct page *page, u64 with);
/* The flags for allocating a page of the object. */
static inline gfp_t object_gfp(const struct vm_object *object)
{
	return object->kind == OBJ_PHYS ? GFP_KERNEL : GFP_MOVABLE;
}
/*
 * Take the lock of an object to change a slot that may be mapped.  Waits until no other thread
 * walks the regions of one of its slots (object_lock.c).  Context: thread, may sleep.
 */
void object_lock(struct vm_object *object) ACQUIRE(object->lock);
/*
 * As object_lock, for a removal, which gives way to threads that wait in object_lock.  False: not
 * taken, because @over() became true while the thread waited; code that makes it true must wake the
 * thread.  @over: may be NULL.
 */
bool object_lock_to_remove(struct vm_object *object, bool (*over)(void))
    TRY_ACQUIRE(true, object->lock) must_check;
/* Wait, with no lock held, until the walk that is under way is over; at times not as long. */
void object_wait(const struct vm_object *object);
/* Under the object's lock: the walk that was under way is over. */
void object_walk_ends(struct vm_object *object);
/* Is a walk changing the entries of slot @index?  Under the object's lock. */
static inline bool object_walked(const struct vm_object *object, u32 index)
{
	return object->walked == index + 1;
}
/* Take a reference; false: none is left.  Under a lock that keeps its memory from being freed. */
bool object_tryget(struct vm_object *object);

/* Drop @nr references, as vm_object_put drops one. */
void vm_object_put_many(struct vm_object *object, u32 nr);

/* ---- the entries of an object's slots (rmap.c), all under the object's lock ---- */

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
/* Map @page wherever the migration entry @entry still stands, with each region's protection. */
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
 * A budget of walks.  Aging, dropping or moving a mapped page walks over all mappings of its
 * object, of which its tasks may make any number.  So work that may choose its pages (a pass of
 * reclaim, a compaction) has a budget of mappings, and walks for a page only if its object has at
 * most a PASS_SHAREth of what is left: no task can use up the budget for objects with fewer
 * mappings than its own.  Up to FREE_MAPPINGS cost nothing.
 */
#define PASS_MAPPINGS 32768u
#define PASS_SHARE    128u
#define FREE_MAPPINGS 8u
/* May @page's mappings be walked over?  *@walked: the used budget.  Under the object's lock. */
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

/* ---- spaces (vm_space.c) ---- */

/* The region that contains @va; NULL: none does.  Under space->lock. */
struct vm_region *region_find(struct vm_space *space, uintptr_t va);
/* region_find for a fault, under space->lock: most faults are in the region of the last fault. */
static inline struct vm_region *region_found(struct vm_space *space, uintptr_t va)
{
	struct vm_region *r = space->found;

	if (!r || va < r->start || va >= r->end)
		space->found = r = region_find(space, va);
	return r;
}
static inline u32 region_index(const struct vm_region *r, uintptr_t va)
{
	return r->offset + (u32)((va - r->start) >> PAGE_SHIFT);
}

#endif
