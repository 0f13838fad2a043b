/* SPDX-License-Identifier: MIT */
/*
 * vm.h: slots of objects, spaces and their regions (vm_object.c, vm_space.c, vm_use.c).
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
/*
 * Take a reference; false: none is left, since the object is being freed.  Under a lock that keeps
 * its memory from being freed.
 */
bool object_tryget(struct vm_object *object);

/* Drop @nr references, as vm_object_put drops one. */
void vm_object_put_many(struct vm_object *object, u32 nr);

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

/* ---- regions of one object (vm_use.c), all under space->change ---- */

/*
 * Count one more region of @space that shows @object.  Returns 0 and *@out; -EMLINK too many;
 * -ENOMEM.
 */
int use_get(struct vm_space *space, const struct vm_object *object, struct vm_use **out);
void use_put(struct vm_space *space, struct vm_use *use);

#endif
