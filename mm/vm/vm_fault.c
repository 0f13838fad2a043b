/* SPDX-License-Identifier: MIT */
/*
 * vm_fault.c: page faults: the machine refused an access; check it, and map the page.
 *
 * Owns:       a page that was allocated for an empty slot, until it is in the slot.
 * Locks:      steps that may sleep come first, with no lock held; then space->lock, the object's
 *             and the tables' are held together.
 * Invariants: a fault is one try, unless it asks a pager; it returns 0 even if something has
 *             changed meanwhile: then the machine refuses the access again.  No cross-call is made,
 *             since an entry only gains rights here.  A failed allocation makes a fault fail only
 *             if the page or table is still missing: another fault may have made it meanwhile.
 * Tests:      vm, vm_object, vm_bad, rmap_walk, vm_order, vm_guard, vm_late.
 */
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/vm/vm.h"
#include <quarry/sched_point.h>

struct fault {
	struct vm_space *space;
	uintptr_t va; /* the page's address */
	unsigned access;
	struct vm_object *object; /* the object at @va, with a reference */
	u32 index;
	bool asked;        /* the object's pager, for the page */
	bool shown;        /* the slot had a page, to be mapped at @va */
	bool changed;      /* @va is no longer in the region that the fault began with */
	struct page *page; /* allocated for the slot */
};

/* Find the object at f->va, take a reference to it, and check the access. */
static int find_object(struct fault *f)
{
	struct vm_region *r;
	int err;

	spin_lock(&f->space->lock);
	r = region_found(f->space, f->va);
	err = !r ? -EFAULT : f->access & ~r->prot ? -EACCES : 0;
	if (!err) {
		f->object = r->object;
		f->index = region_index(r, f->va);
		vm_object_get(f->object);
	}
	spin_unlock(&f->space->lock);
	return err;
}

/* The page is not kept for the pager: it would block an offline until the pager answers. */
int vm_await_memory(struct vm_object *object, u32 index)
{
	u64 began = arch_clock_ns();
	struct page *page = mem_alloc_pages(object->mem, object_gfp(object), 0);

	access_waited(began);
	if (!page)
		return vm_object_has(object, index) ? 0 : -ENOMEM;
	mem_free_pages(object->mem, page, 0);
	return -EAGAIN;
}

/* The steps that may sleep: tables, the slot's place, and a page if the slot is empty. */
static int prepare(struct fault *f)
{
	struct vm_object *object = f->object;
	int err = pt_prepare(&f->space->pt, f->va), filled;

	if (err)
		return err;
	filled = object_prepare(object, f->index, 0);
	if (filled)
		return MIN(filled, 0);
	if (object->kind == OBJ_PAGER) {
		f->asked = true;
		err = vm_await_memory(object, f->index);
		if (err != -EAGAIN)
			return err;
		sched_point("fault.ask");
		return object->ops->get(object, f->index);
	}
	f->page = mem_alloc_pages(object->mem, object_gfp(object) | GFP_ZERO, 0);
	return f->page || vm_object_has(object, f->index) ? 0 : -ENOMEM;
}

/*
 * Map the slot's page at @f->va of @r.  If the slot is empty, first fill it with f->page, if any.
 * If the page is being moved, queue @w and set *@waits.  Under the locks of space and object.
 */
static int fault_show(struct fault *f, struct vm_region *r, struct migwait *w, bool *waits)
{
	u64 *place = object_slot(f->object, f->index), slot = place ? *place : 0;

	CHECKED_ASSERT(spin_is_held(&f->space->lock) && spin_is_held(&f->object->lock));
	/* A page that broke is not used: its free retires it, and the access is tried again. */
	if (!slot && f->page && object_fill(f->object, place, f->index, f->page)) {
		slot = (uintptr_t)f->page;
		f->page = NULL;
		MM_EVENT(f->space->mem, FAULT_NEW);
	}
	/* The marker alone decides: without it no migration entry stands.  This lock keeps it. */
	if (slot_is_marker(slot)) {
		migwait_queue(w, f->space->mem, slot_marker_pfn(slot));
		*waits = true;
		return 0;
	}
	/* The slot may be empty: the page was dropped again after the pager brought it. */
	if (!slot)
		return 0;
	if (slot == SLOT_LOST) {
		MM_EVENT(f->space->mem, FAULT_LOST);
		return -EHWPOISON;
	}
	f->shown = true;
	return rmap_map(r, f->va, slot_page(slot));
}

static int commit(struct fault *f)
{
	struct vm_region *r;
	struct migwait w;
	bool waits = false, walked = false;
	int err = 0;

	spin_lock(&f->space->lock);
	r = region_found(f->space, f->va);
	if (r && r->object == f->object && region_index(r, f->va) == f->index &&
	    !(f->access & ~r->prot)) {
		spin_lock(&f->object->lock);
		walked = object_walked(f->object, f->index);
		if (!walked)
			err = fault_show(f, r, &w, &waits);
		spin_unlock(&f->object->lock);
	} else {
		f->changed = true;
	}
	spin_unlock(&f->space->lock);
	/* Reclaim may wait for pagers of other objects before it is done with this page. */
	if (waits) {
		u64 began = arch_clock_ns();

		migwait_sleep(&w);
		access_waited(began);
	}
	if (walked)
		object_wait(f->object);
	return err;
}

int vm_fault(struct vm_space *space, uintptr_t va, unsigned access)
{
	struct fault f = {.space = space, .va = ALIGN_DOWN(va, PAGE_SIZE), .access = access};
	int err;

	MM_EVENT(space->mem, FAULTS);
	err = find_object(&f);
	if (err)
		return err;
	sched_point("fault.found");
	/*
	 * All tries of an access have one time limit of the pager, and they end here.  If a try
	 * that has shown no page left the rest to the machine, another thread could map the page
	 * first, and the time would count for the next access.
	 */
	do {
		err = prepare(&f);
		sched_point("fault.ready");
		if (!err)
			err = commit(&f);
	} while (f.asked && !err && !f.shown && !f.changed);
	if (f.asked)
		port_task()->access_ns = 0;
	/* The new page was not used: another fault filled the slot, or this try has failed. */
	if (f.page) {
		sched_point("fault.lost");
		mem_free_pages(space->mem, f.page, 0);
	}
	vm_object_put(f.object);
	return err;
}
