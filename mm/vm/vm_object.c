/* SPDX-License-Identifier: MIT */
/*
 * vm_object.c: memory objects: slots that hold pages, and references to the object.
 *
 * Owns:       struct vm_object; tables of slots (ALLOC pages); the reference that a slot holds.
 * Locks:      object->lock for slots, regions and counts; the lru lock inside it when a page is
 *             added or removed.
 * Invariants: a page in a slot is LRU, OBJECT or ISO_MIG, and names the object and its index.
 *             No entry of a page table maps an empty slot.  While a slot holds a marker, each entry
 *             for it is a migration entry or empty; otherwise each entry for it maps its page or is
 *             empty.
 *             While object->unflushed is 0, no CPU can use an entry that a removal has emptied.
 *             Regions, migrators and faults hold references: when the last one is dropped, no
 *             thread reads the slots, and no entry or marker is left.
 * Tests:      vm, vm_exact, vm_object, account, rmap_walk, vm_order, vm_guard, vm_late.
 */
#include "mm/core/page.h"
#include "mm/core/zone.h"
#include "mm/vm/lru.h"
#include "mm/vm/vm.h"
#include <quarry/account.h>
#include <quarry/sched_point.h>

#define SLOTS_PER_LEAF 512
#define SLOTS_AT_ONCE  512 /* visited in one hold of the lock */

static struct page **leaf_of(const struct vm_object *object, u32 index)
{
	return (struct page **)page_address_in(object->mem, object->top) + index / SLOTS_PER_LEAF;
}

u64 *object_slot(const struct vm_object *object, u32 index)
{
	struct page *leaf = *leaf_of(object, index);

	CHECKED_ASSERT(index < object->nr_pages);
	return leaf ? (u64 *)page_address_in(object->mem, leaf) + index % SLOTS_PER_LEAF : NULL;
}

u64 object_lookup(struct vm_object *object, u32 index)
{
	const u64 *slot = object_slot(object, index);

	return slot ? *slot : 0;
}

/* Make the table for slot @index, unless another thread is first.  Returns as object_prepare. */
static noinline int bring_leaf(struct vm_object *object, u32 index, gfp_t gfp)
{
	struct page **place = leaf_of(object, index), *leaf;
	bool filled;

	leaf = mem_alloc_pages(object->mem, GFP_KERNEL | GFP_ZERO | gfp, 0);
	if (!leaf)
		return READ_ONCE(*place) ? 0 : -ENOMEM;
	sched_point("obj.leaf");
	spin_lock(&object->lock);
	if (!*place) {
		*place = leaf;
		account_count(object->account, ACCOUNT_SLOTS, 1);
		leaf = NULL;
	}
	filled = object_lookup(object, index) != 0;
	spin_unlock(&object->lock);
	if (leaf) {
		sched_point("obj.lost");
		mem_free_pages(object->mem, leaf, 0);
	}
	return filled;
}

int object_prepare(struct vm_object *object, u32 index, gfp_t gfp)
{
	const u64 *slot;
	bool filled;

	KASSERT(index < object->nr_pages);
	spin_lock(&object->lock);
	slot = object_slot(object, index);
	filled = slot && *slot;
	spin_unlock(&object->lock);
	return likely(slot) ? filled : bring_leaf(object, index, gfp);
}

bool object_fill(struct vm_object *object, u64 *slot, u32 index, struct page *page)
{
	CHECKED_ASSERT(spin_is_held(&object->lock));
	KASSERT(*slot == 0);
	if (!lru_add_page(object->mem, page, object, index))
		return false;
	*slot = (uintptr_t)page;
	WRITE_ONCE(object->nr_present, object->nr_present + 1);
	return true;
}

void object_release_page(struct vm_object *object, struct page *page, u64 with)
{
	KASSERT(spin_is_held(&object->lock) && object->nr_present > 0);
	PAGE_ASSERT(object->mem, page, page->owner == object && page->mapcount == 0);
	*object_slot(object, page->index) = with;
	WRITE_ONCE(object->nr_present, object->nr_present - 1);
	lru_release_pages(object->mem, &page, 1);
}

int vm_object_create(struct memory *mem, enum vm_object_kind kind, unsigned long nr_pages,
    const struct vm_pager_ops *ops, void *pager, struct vm_object **out)
{
	struct account *account = account_current();
	struct vm_object *object;
	struct page *top;
	int err;

	if (nr_pages == 0 || nr_pages > OBJ_MAX_PAGES || kind > OBJ_PHYS || !mem->backed ||
	    (kind == OBJ_PAGER) != (ops && ops->get))
		return -EINVAL;
	err = account_charge(account, ACCOUNT_OBJECTS, 1);
	if (err)
		return err;
	object = kmalloc(sizeof(*object));
	top = object ? mem_alloc_pages(mem, GFP_KERNEL | GFP_ZERO, 0) : NULL;
	if (!top) {
		kfree(object);
		account_uncharge(account, ACCOUNT_OBJECTS, 1);
		return -ENOMEM;
	}
	*object = (struct vm_object){.lock = SPINLOCK("object", RANK_OBJECT),
	    .refs = 1,
	    .kind = (u8)kind,
	    .nr_pages = (u32)nr_pages,
	    .mem = mem,
	    .account = account,
	    .top = top,
	    .ops = ops,
	    .pager = pager};
	account_count(account, ACCOUNT_SLOTS, 1);
	account_get(account);
	spin_lock(&mem->vm.lock);
	LIST_INSERT_HEAD(&mem->vm.objects, object, link);
	spin_unlock(&mem->vm.lock);
	*out = object;
	return 0;
}

void vm_object_get(struct vm_object *object)
{
	u32 refs = atomic_add(&object->refs, 1u);

	KASSERT(refs > 0 && refs < ~0u);
}

bool object_tryget(struct vm_object *object)
{
	u32 refs;

	do {
		refs = READ_ONCE(object->refs);
		if (refs == 0)
			return false;
	} while (!atomic_cas(&object->refs, refs, refs + 1));
	return true;
}

/* The object cannot be found any more, but its pages can, by pfn or on a list. */
static void free_leaf(struct vm_object *object, struct page *leaf)
{
	const u64 *slot = page_address_in(object->mem, leaf);
	struct page *pages[PUT_MANY];
	unsigned i, nr = 0;

	for (i = 0; i < SLOTS_PER_LEAF; i++) {
		KASSERT(!slot_is_marker(slot[i]));
		if (slot_has_page(slot[i])) {
			PAGE_ASSERT(
			    object->mem, slot_page(slot[i]), slot_page(slot[i])->owner == object);
			pages[nr++] = slot_page(slot[i]);
		}
		if (nr == PUT_MANY || i + 1 == SLOTS_PER_LEAF) {
			lru_release_pages(object->mem, pages, nr);
			put_many(object->mem, pages, nr);
			nr = 0;
		}
	}
	mem_free_pages(object->mem, leaf, 0);
	account_uncharge(object->account, ACCOUNT_SLOTS, 1);
}

static noinline void object_destroy(struct vm_object *object)
{
	struct account *account = object->account;
	struct memory *mem = object->mem;
	u32 i;

	sched_point("obj.last");
	KASSERT(RB_EMPTY(&object->regions) && !object->walked);
	spin_lock(&mem->vm.lock);
	LIST_REMOVE(object, link);
	spin_unlock(&mem->vm.lock);
	for (i = 0; i < object->nr_pages; i += SLOTS_PER_LEAF)
		if (*leaf_of(object, i))
			free_leaf(object, *leaf_of(object, i));
	mem_free_pages(mem, object->top, 0);
	if (object->ops && object->ops->release)
		object->ops->release(object->pager);
	kfree(object);
	account_uncharge(account, ACCOUNT_SLOTS, 1);
	account_uncharge(account, ACCOUNT_OBJECTS, 1);
	account_put(account);
}

void vm_object_put_many(struct vm_object *object, u32 nr)
{
	u32 refs = atomic_sub(&object->refs, nr);

	KASSERT(refs >= nr);
	if (refs == nr)
		object_destroy(object);
}

void vm_object_put(struct vm_object *object)
{
	vm_object_put_many(object, 1);
}

int vm_object_supply_by(
    struct vm_object *object, u32 index, int (*fill)(void *page, void *arg), void *arg)
{
	/* A pager may go below the watermarks: the faulting thread has just freed a page for it. */
	gfp_t gfp = object->kind == OBJ_PAGER ? GFP_ATOMIC : 0;
	struct memory *mem = object->mem;
	u64 *place, slot;
	struct page *page;
	int err;

	if (index >= object->nr_pages)
		return -EINVAL;
	/* A thread that holds the page must not wait: it would keep the page from moving. */
	if (!gfp) {
		err = object_prepare(object, index, 0);
		if (err < 0)
			return err;
	}
	page = mem_alloc_pages(mem, object_gfp(object) | gfp, 0);
	if (!page)
		return -ENOMEM;
	err = fill(page_address_in(mem, page), arg);
	/* The page is filled first: if that fails, nothing has changed. */
	if (!err && gfp)
		err = object_prepare(object, index, gfp);
	if (err < 0) {
		mem_free_pages(mem, page, 0);
		return err;
	}
	sched_point("supply.page");
	spin_lock(&object->lock);
	place = object_slot(object, index);
	slot = *place;
	if (slot)
		err = slot_is_marker(slot) ? -EAGAIN : slot == SLOT_LOST ? -EHWPOISON : -EEXIST;
	else /* -EAGAIN: the frame broke meanwhile; its free retires it */
		err = object_fill(object, place, index, page) ? 0 : -EAGAIN;
	spin_unlock(&object->lock);
	if (err)
		mem_free_pages(mem, page, 0);
	return err;
}

static int fill_by_copy(void *page, void *data)
{
	if (data)
		memcpy(page, data, PAGE_SIZE);
	else
		memset(page, 0, PAGE_SIZE);
	return 0;
}

int vm_object_supply(struct vm_object *object, u32 index, const void *data)
{
	return vm_object_supply_by(object, index, fill_by_copy, (void *)(uintptr_t)data);
}

/*
 * Take a page out of its slot; returns how many regions showed it.  If the slot has a marker, a
 * migrator has the slot's reference: it finds that the marker is gone, drops the copy, and then the
 * page.  The page exists as long as the marker, which is removed under the object's lock.
 */
static unsigned empty_slot(struct vm_object *object, u32 index, u64 *slot, struct tlb_gather *g)
{
	struct page *page;
	unsigned visited;

	KASSERT(spin_is_held(&object->lock) && !object->walked);
	/* A lost slot is mapped nowhere, and is not counted in nr_present. */
	if (*slot == SLOT_LOST) {
		*slot = 0;
		return 0;
	}
	page = slot_is_marker(*slot) ? pfn_to_page_in(object->mem, slot_marker_pfn(*slot))
	                             : slot_page(*slot);
	/* The page behind a marker is mapped nowhere, but it may have migration entries. */
	visited = slot_is_marker(*slot) || page->mapcount ? rmap_unmap(object, index, 0, g) : 0;
	PAGE_ASSERT(object->mem, page, page->index == index);
	if (!slot_is_marker(*slot))
		tlb_gather_page(g, page);
	object_release_page(object, page, 0);
	return visited;
}

u32 vm_object_remove_some(struct vm_object *object, u32 index, u32 nr, bool (*over)(void))
{
	u32 first = index, stop = index + MIN(nr, (u32)SLOTS_AT_ONCE);
	unsigned visited = 0;
	struct tlb_gather g;

	KASSERT(nr > 0 && index < object->nr_pages && nr <= object->nr_pages - index);
	tlb_gather_init(&g, object->mem);
	if (!object_lock_to_remove(object, over))
		return 0;
	atomic_add(&object->unflushed, 1u);
	for (; index < stop && !tlb_gather_full(&g) && visited < object->mem->vm.at_once; index++) {
		u64 *slot = object_slot(object, index);

		if (slot && *slot)
			visited += empty_slot(object, index, slot, &g);
	}
	spin_unlock(&object->lock);
	sched_point("remove.emptied");
	tlb_flush(&g);
	atomic_sub(&object->unflushed, 1u);
	return index - first;
}

int vm_object_remove(struct vm_object *object, u32 index, u32 nr)
{
	u32 end = index + nr;

	if (index >= object->nr_pages || nr > object->nr_pages - index)
		return -EINVAL;
	while (index < end)
		index += vm_object_remove_some(object, index, end - index, NULL);
	return 0;
}

bool vm_object_has(struct vm_object *object, u32 index)
{
	bool has;

	if (index >= object->nr_pages)
		return false;
	spin_lock(&object->lock);
	has = object_lookup(object, index) != 0;
	spin_unlock(&object->lock);
	return has;
}

unsigned long vm_object_pages(struct vm_object *object, enum zone_kind highest)
{
	unsigned long nr = 0;
	u32 index, i;

	for (index = 0; index < object->nr_pages; index += SLOTS_PER_LEAF) {
		u64 *slot;

		spin_lock(&object->lock);
		slot = object_slot(object, index);
		for (i = 0; slot && i < SLOTS_PER_LEAF; i++)
			nr += slot_has_page(slot[i]) &&
			    zone_of(object->mem, page_to_pfn_in(object->mem, slot_page(slot[i])))
			            ->kind <= highest;
		spin_unlock(&object->lock);
	}
	return nr;
}

unsigned long vm_object_tables(struct vm_object *object)
{
	unsigned long nr = 1;
	u32 index;

	spin_lock(&object->lock);
	for (index = 0; index < object->nr_pages; index += SLOTS_PER_LEAF)
		nr += *leaf_of(object, index) != NULL;
	spin_unlock(&object->lock);
	return nr;
}

int vm_object_pin(struct vm_object *object, u32 index, struct page **page)
{
	int err = -ENOENT;
	u64 slot;

	if (index >= object->nr_pages)
		return -EINVAL;
	spin_lock(&object->lock);
	slot = object_lookup(object, index);
	if (slot_is_marker(slot) || object_walked(object, index)) {
		err = -EAGAIN;
	} else if (slot == SLOT_LOST) {
		err = -EHWPOISON;
	} else if (slot) {
		*page = slot_page(slot);
		err = pin_page(*page);
	}
	spin_unlock(&object->lock);
	return err;
}

/*
 * An object is freed only after its pages have left it under the lru lock.  So an object that a
 * page names under this lock still exists.
 */
void lru_get_objects(
    struct memory *mem, struct page **pages, unsigned nr, struct vm_object **object)
{
	unsigned i = 0;

	while (i < nr) {
		struct zone *zone = zone_of(mem, page_to_pfn_in(mem, pages[i]));
		irqflags_t flags = spin_lock_irqsave(&zone->lru_lock);

		for (; i < nr && zone_has_page(zone, pages[i]); i++) {
			object[i] = pages[i]->owner;
			if (object[i] && !object_tryget(object[i]))
				object[i] = NULL;
		}
		spin_unlock_irqrestore(&zone->lru_lock, flags);
	}
}

struct vm_object *lru_get_object(struct memory *mem, struct page *page)
{
	struct vm_object *object;

	lru_get_objects(mem, &page, 1, &object);
	return object;
}
