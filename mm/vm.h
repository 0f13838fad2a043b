/* SPDX-License-Identifier: MIT */
/*
 * vm.h: what the files behind vm.h share with each other and with tests/, and nobody else.
 *
 * Locks, outer to inner: space->change (sleeps), space->lock, object->lock, pagetable.lock, a bucket
 * of the waiters, the zone's lru lock.  An entry of a page table, the mapcount of the page in it and
 * the slot that names the page change together, under the lock of the object.  The tables' lock is
 * taken inside it, so that who comes by an address, not by an object, can hold an entry still.
 */
#ifndef QUARRY_MM_VM_H
#define QUARRY_MM_VM_H

#include <quarry/mm.h>
#include <quarry/vm.h>

/* ---- page tables (pagetable.c) ---- */

/* An empty top table, charged to the running thread's account as all others will be.  -ENOMEM, -EDQUOT. */
int pt_init(struct pagetable *pt, struct memory *mem);
/* Free all tables; no entry of the last level is in use. */
void pt_destroy(struct pagetable *pt);
/* See to it that there are tables down to the one for @va.  May sleep; -ENOMEM, -EDQUOT. */
int pt_prepare(struct pagetable *pt, uintptr_t va);
/* The entry for @va; NULL: there is no table for it.  Tables stay, so the answer does too. */
u64 *pt_entry(const struct pagetable *pt, uintptr_t va);
/* The entry for the first address from *@va on, below @end, that has a table; NULL: none has. */
u64 *pt_next(const struct pagetable *pt, uintptr_t *va, uintptr_t end);
/* A present entry. */
u64 pte_make(pfn_t pfn, unsigned prot);

static inline u64 pte_migration(pfn_t pfn)
{
	return (u64)pfn << PAGE_SHIFT | PTE_MIGRATING;
}

static inline bool pte_is_migration(u64 pte)
{
	return (pte & (PTE_PRESENT | PTE_MIGRATING)) == PTE_MIGRATING;
}

/* ---- shootdowns (tlb.c) ---- */

#define TLB_ENTRIES 32 /* more than these are forgotten as a whole */
#define TLB_PAGES   64
#define TLB_CPUS    256 /* on larger machines every CPU is asked */

/*
 * What changed in page tables, and who must hear of it; and references that must last until then.
 */
struct tlb_gather {
	struct memory *mem;
	bool everybody;  /* there are more than TLB_CPUS, and any of them */
	unsigned nr;     /* entries changed */
	unsigned nr_pages;
	cpumask_t cpus[CPUMASK_WORDS(TLB_CPUS)];
	struct {
		phys_t root;
		uintptr_t va;
	} entry[TLB_ENTRIES];
	u32 page[TLB_PAGES]; /* pfns: half of what pointers would take of a stack */
};

void tlb_gather_init(struct tlb_gather *g, struct memory *mem);
/* The entry for @va has just been changed.  Under the lock it was changed under. */
void tlb_gather_add(struct tlb_gather *g, const struct vm_space *space, uintptr_t va);
/* Drop this reference once nobody can reach the page through an old entry. */
void tlb_gather_page(struct tlb_gather *g, struct page *page);
static inline bool tlb_gather_full(const struct tlb_gather *g)
{
	return g->nr_pages == TLB_PAGES;
}
/*
 * Make every CPU concerned forget the entries, in one cross-call, then drop the references.
 * Context: thread, may sleep, no spin lock held; never from an allocation.
 */
void tlb_flush(struct tlb_gather *g);
/*
 * For a machine in software: called beside arch_tlb_flush_page, and with @all for _user.  irqs off.
 */
extern void (*tlb_flush_hook)(phys_t root, uintptr_t va, bool all);

/* ---- objects (vm_object.c) ---- */

/*
 * A slot: 0; the page, whose reference it holds; a marker, the pfn of the page that a migrator has taken out
 * of it, reference and all; or LOST: there was a page, its memory broke, and nobody else has what was in it.
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

/* See to it that slot @index can be filled.  @gfp: 0, or GFP_NOWAIT.  May sleep; -ENOMEM. */
int object_prepare(struct vm_object *object, u32 index, gfp_t gfp);
/* Under the object's lock: the place of slot @index; NULL: it was never filled. */
u64 *object_slot(struct vm_object *object, u32 index);
/* Its value, 0 if there is no place for it. */
u64 object_lookup(struct vm_object *object, u32 index);
/* Under the object's lock: put a new page (ALLOC, one reference) into an empty, prepared slot. */
void object_fill(struct vm_object *object, u32 index, struct page *page);
/* How to allocate a page of the object. */
static inline gfp_t object_gfp(const struct vm_object *object)
{
	return object->kind == OBJ_PHYS ? GFP_KERNEL : GFP_MOVABLE;
}
/*
 * The lock of an object, for who changes a slot that may be mapped: waits until nobody else walks the regions of
 * one of its slots (rmap.c).  Context: thread, may sleep.
 */
void object_lock(struct vm_object *object) ACQUIRE(object->lock);
/* Wait, with no lock held, until the walk that was going on is over. */
void object_wait(struct vm_object *object);
/* Are the entries of slot @index being changed in steps?  Under the object's lock. */
static inline bool object_walked(const struct vm_object *object, u32 index)
{
	return object->walked == index + 1;
}
/* A reference unless the object is on its way out.  Under a lock that keeps it from being freed. */
bool object_tryget(struct vm_object *object);

/* ---- spaces (vm_space.c) ---- */

/* The region that @va lies in; NULL.  Under space->lock. */
struct vm_region *region_find(struct vm_space *space, uintptr_t va);
static inline u32 region_index(const struct vm_region *r, uintptr_t va)
{
	return r->offset + (u32)((va - r->start) >> PAGE_SHIFT);
}

/* ---- regions of one object (vm_use.c), all under space->change ---- */

/* One more region of @space is going to show @object; 0 and *@out, -EMLINK, -ENOMEM. */
int use_get(struct vm_space *space, const struct vm_object *object, struct vm_use **out);
void use_put(struct vm_space *space, struct vm_use *use);

/* ---- reverse mapping (rmap.c), all under the object's lock ---- */

/* @r shows a part of its object from now on; no longer; only what lies below @end. */
void rmap_add(struct vm_region *r);
void rmap_remove(struct vm_region *r);
void rmap_cut(struct vm_region *r, uintptr_t end);
/*
 * rmap_unmap, rmap_age and rmap_restore let go of the lock, which object_lock took, where many regions show
 * the slot.  Nobody else looks at the slot or makes entries for it meanwhile.
 */

/* Map @page, which is in slot @index, at @va of @r; -EAGAIN: too many references. */
int rmap_map(struct vm_region *r, uintptr_t va, struct page *page);
/*
 * Take one entry away, under the tables' lock too: collect its bits, lower the mapcount.  Returns
 * the page, whose mapping's reference is the caller's now; NULL if it was not present.
 */
struct page *rmap_take_entry(struct memory *mem, u64 *entry, u64 with);
/*
 * Take away every entry of slot @index; its page is @page, to which the caller has a reference
 * besides. @with: 0, or the migration entry to leave instead.  @g: NULL if there are migration entries
 * only, and everybody has forgotten what was there before.  Returns how many regions show the slot.
 */
unsigned rmap_unmap(struct vm_object *object, u32 index, u64 with, struct tlb_gather *g);
/*
 * Which of PTE_ACCESSED and PTE_DIRTY has a machine set in the entries of slot @index?  Clears the
 * former, and has it forgotten, so that it tells next time what happened since.
 */
u64 rmap_age(struct vm_object *object, u32 index, struct tlb_gather *g);
/* Map @page wherever the migration entry @entry still stands, as its region allows by now. */
void rmap_restore(struct vm_object *object, u32 index, u64 entry, struct page *page);

/* ---- lists by age (lru.c) ---- */

/* A new page (ALLOC) becomes one of @object's; its owner from now on. */
void lru_add_page(struct memory *mem, struct page *page, struct vm_object *object, u32 index);
/* The object lets go of it: off its list, without an owner.  The reference stays the caller's. */
void lru_release_page(struct memory *mem, struct page *page);
/*
 * isolate_lru_page - take an object's page that a scanner found at @pfn.  Returns 0, and it is
 * ISO_MIG with one more reference; -EAGAIN it is none just now, or has too many; -EBUSY pinned.
 * Locks: lru.
 */
int isolate_lru_page(struct memory *mem, pfn_t pfn) must_check;
/*
 * The same of one whose memory is broken: also pinned, also of an object whose pages stay where they are.
 * -EOVERFLOW: it has as many references as there can be.
 */
int isolate_broken_page(struct memory *mem, pfn_t pfn) must_check;
/*
 * The same for up to @max pages of one list, oldest first, into pages[]; returns how many.
 * @unmapped: only those that nobody maps and that are clean and untouched; the others stay where they
 * are.  Pinned ones count as young.  They count in zone->nr_reclaiming.
 */
unsigned lru_isolate_tail(struct zone *zone, unsigned which, bool unmapped, struct page **pages,
    unsigned max) EXCLUDES(lru_class);
/* Put it back on its list, or free it if its object has let go.  Locks: lru, zone. */
void putback_lru_page(struct memory *mem, struct page *page);
/* The object of an isolated page, with a reference; NULL if it has let go.  Locks: lru. */
struct vm_object *lru_get_object(struct memory *mem, struct page *page);

/* ---- waiting for a page being moved (migwait.c) ---- */

/* On the waiter's stack. */
struct migwait {
	const struct memory *mem;
	pfn_t pfn;
	u32 woken; /* a: taken off the list; nobody else looks at this any more */
	struct migwait *next; /* the bucket's lock */
};

/* Queue up; under the lock of the object whose marker was seen. */
void migwait_queue(struct migwait *w, struct memory *mem, pfn_t pfn);
/* Sleep until woken.  Thread, no spin lock held. */
void migwait_sleep(struct migwait *w);
/* Wake all who wait for @pfn.  No spin lock held. */
void migwait_wake(struct memory *mem, pfn_t pfn);
/* How many wait for @pfn now. */
unsigned migwait_waiting(const struct memory *mem, pfn_t pfn);
/* Those who waited are gone with their machine: for who starts another in the same program. */
void migwait_forget(void);
/* Is @what, a lock or a wait queue, one of those who wait for pages? */
bool migwait_owns(const void *what);
/* Call fn(arg, pfn) for each waiter of @mem until it says false.  All CPUs stopped. */
void migwait_check(const struct memory *mem, bool (*fn)(void *arg, pfn_t pfn), void *arg);

#endif
