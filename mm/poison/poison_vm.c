/* SPDX-License-Identifier: MIT */
/*
 * poison_vm.c: taking a broken page out of its memory object, and making it unreachable.
 *
 * Owns:       slots that are LOST.
 * Locks:      the object's lock; while it is held, the tables' locks and the lru lock, and to doom
 *             a page the zone lock.  The cross-call is made with no spin lock held.
 * Invariants: after a return of 0 no entry shows the page, and no CPU can reach it by an entry that
 *             was removed here; entries that other threads have just removed may not be flushed yet
 *             (tlb_flush_pending).  Its object does not name it any more; but an object that is
 *             being freed names it until it drops the page.  A slot is emptied, so that the pager
 *             can fill it again, only if the page was not written to: the instruction that removes
 *             an entry also collects its dirty bit.
 * Tests:      poison_vm, poison_object, poison_exact.
 */
#include "mm/core/buddy.h"
#include "mm/core/page.h"
#include "mm/core/zone.h"
#include "mm/poison/poison.h"
#include "mm/vm/lru.h"
#include "mm/vm/vm.h"
#include <quarry/sched_point.h>

/* Does the pager have the content?  Of anonymous memory there is no copy. */
static bool has_copy(const struct vm_object *object, const struct page *page)
{
	return object->kind == OBJ_PAGER && !(page_word(page) & PAGE_DIRTY);
}

/* Take the page out of its slot.  The slot's reference is dropped after the shootdown. */
static void leave_slot(struct vm_object *object, struct page *page, struct tlb_gather *g,
    struct poison_result *res) REQUIRES(object->lock)
{
	res->unmapped = page->mapcount;
	rmap_unmap(object, page->index, 0, g); /* collects dirty bits */
	res->lost = !has_copy(object, page);
	object_release_page(object, page, res->lost ? SLOT_LOST : 0);
	tlb_gather_page(g, page);
}

static void taking_begins(struct vm_object *object, struct tlb_gather *g) ACQUIRE(object->lock)
{
	tlb_gather_init(g, object->mem);
	object_lock(object);
	atomic_add(&object->unflushed, 1u);
}

/* Release the lock, make the shootdown, and drop the reference to the object. */
static void taking_ends(struct vm_object *object, struct tlb_gather *g) RELEASE(object->lock)
{
	spin_unlock(&object->lock);
	sched_point("mf.entries_gone");
	tlb_flush(g);
	atomic_sub(&object->unflushed, 1u);
	sched_point("mf.unmapped");
	vm_object_put(object);
}

/* No marker, unlike a move: a fault finds the slot lost, or finds it empty and calls the pager. */
int poison_take_object_page(struct memory *mem, pfn_t pfn, struct poison_result *res)
{
	struct page *page = pfn_to_page_in(mem, pfn);
	int err = isolate_broken_page(mem, pfn);
	struct vm_object *object;
	struct tlb_gather g;

	if (err)
		return err;
	sched_point("mf.isolated");
	object = lru_get_object(mem, page);
	/* The object is being freed, and drops its pages itself. */
	if (!object)
		return 0;
	taking_begins(object, &g);
	if (slot_page(object_lookup(object, page->index)) == page)
		leave_slot(object, page, &g, res);
	taking_ends(object, &g);
	return 0;
}

/*
 * The object that has @page, with a reference; NULL: none has it.  By now the page may be free, or
 * have an owner of another kind.
 */
static struct vm_object *poison_find_object(struct zone *zone, const struct page *page)
{
	irqflags_t flags = lru_lock_irqsave(zone);
	struct vm_object *object = load_acquire(&page->owner); /* before the state: lru.c */
	enum page_state state = word_state(page_word(page));

	/* An object that a page names under this lock still exists (lru_get_objects). */
	if (object && ((state != PG_LRU && state != PG_OBJECT) || !object_tryget(object)))
		object = NULL;
	lru_unlock_irqrestore(zone, flags);
	return object;
}

/*
 * The slot's reference keeps the page until the shootdown is over, so the flag is set before the
 * last put.  The object releases its pages under its lock, which is held here, so no other thread
 * can release the page first.
 */
int poison_doom_object_page(struct zone *zone, pfn_t pfn, struct poison_result *res)
{
	struct page *page = pfn_to_page_in(zone->mem, pfn);
	struct vm_object *object = poison_find_object(zone, page);
	struct tlb_gather g;
	int err = -EAGAIN;
	irqflags_t flags;

	if (!object)
		return -EAGAIN;
	taking_begins(object, &g);
	/* The page may belong to another object by now; then its index is one of that object. */
	if (page->owner == object && slot_page(object_lookup(object, page->index)) == page) {
		flags = zone_lock_irqsave(zone);
		if (!page_poisoned(page))
			poison_doom(zone, pfn, pfn);
		zone_unlock_irqrestore(zone, flags);
		leave_slot(object, page, &g, res);
		err = 0;
	}
	taking_ends(object, &g);
	return err;
}
