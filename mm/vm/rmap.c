/* SPDX-License-Identifier: MIT */
/*
 * rmap.c: from a page to the entries that map it: its object, the object's regions, their tables.
 *
 * Owns:       mapcounts, and the last level's entries; an object's tree of regions.
 * Locks:      the lock of the object, and inside it that of each table.
 * Invariants: a present entry holds one reference to its page and counts once in its mapcount; a
 *             migration entry holds neither.  The accessed and dirty bits of an entry are collected
 *             by the instruction that removes it, so none is lost.
 * Tests:      vm, migrate_lru, rmap, rmap_walk, vm_exact, vm_guard, vm_late, fields.
 */
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/vm/vm.h"
#include <quarry/sched_point.h>

/*
 * The tree is ordered by the first slot of each region; if that is the same, by the addresses of
 * the structs.  Each region stores the last slot that it or any region below it in the tree shows;
 * so a search skips each subtree that ends before the slot.
 */
static u32 last_slot(const struct vm_region *r)
{
	return r->offset + (u32)((r->end - r->start) >> PAGE_SHIFT) - 1;
}

static int rmap_compare(const struct vm_region *a, const struct vm_region *b)
{
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return (a > b) - (a < b);
}

static u32 last_below(const struct vm_region *r)
{
	const struct vm_region *left = RB_LEFT(r, link), *right = RB_RIGHT(r, link);
	u32 below = last_slot(r);

	if (left)
		below = MAX(below, left->below);
	if (right)
		below = MAX(below, right->below);
	return below;
}

/* What @r shows, or the tree below it, has changed: update @r and each region above it. */
static void update_below(struct vm_region *r)
{
	for (; r; r = RB_PARENT(r, link))
		r->below = last_below(r);
}

#undef RB_AUGMENT
#define RB_AUGMENT(r) update_below(r)
RB_GENERATE_INTERNAL(vm_region_index, vm_region, link, rmap_compare, unused static)

void rmap_add(struct vm_region *r)
{
	KASSERT(spin_is_held(&r->object->lock));
	KASSERT(r->start < r->end && last_slot(r) < r->object->nr_pages);
	RB_INSERT(vm_region_index, &r->object->regions, r);
	r->object->nr_regions++;
	update_below(r);
}

void rmap_remove(struct vm_region *r)
{
	KASSERT(spin_is_held(&r->object->lock));
	RB_REMOVE(vm_region_index, &r->object->regions, r);
	r->object->nr_regions--;
}

void rmap_cut(struct vm_region *r, uintptr_t end)
{
	KASSERT(spin_is_held(&r->object->lock));
	KASSERT(end > r->start && end < r->end && !(end & (PAGE_SIZE - 1)));
	r->end = end;
	update_below(r);
}

/* Every region is right if each agrees with itself and with the two below it. */
struct vm_region *rmap_stale(struct vm_object *object, u32 *below, u32 *nr)
{
	struct vm_region *r;

	*nr = 0;
	RB_FOREACH(r, vm_region_index, &object->regions) {
		++*nr;
		*below = last_below(r);
		if (r->below != *below)
			return r;
	}
	return NULL;
}

/* The first region in or below @r that shows @index; NULL: none does. */
static struct vm_region *first_in(struct vm_region *r, u32 index)
{
	while (r && r->below >= index) {
		struct vm_region *left = RB_LEFT(r, link);

		/*
		 * A region in the left subtree ends at @index or later.  If it begins after @index,
		 * so do all regions behind it: there is no need to search on the right.
		 */
		if (left && left->below >= index)
			r = left;
		else if (r->offset > index)
			return NULL;
		else if (last_slot(r) >= index)
			return r;
		else
			r = RB_RIGHT(r, link);
	}
	return NULL;
}

/*
 * The first region that shows @index, behind the region @after, which began at slot @offset and may
 * no longer exist; NULL: none does.
 */
static struct vm_region *next_region(
    struct vm_object *object, const struct vm_region *after, u32 offset, u32 index)
{
	struct vm_region *r = RB_ROOT(&object->regions), *place = NULL;
	bool behind = false;

	while (r) {
		place = r;
		behind = r->offset != offset ? r->offset > offset : r > after;
		r = behind ? RB_LEFT(r, link) : RB_RIGHT(r, link);
	}
	for (; place;
	     behind = RB_PARENT(place, link) && RB_LEFT(RB_PARENT(place, link), link) == place,
	     place = RB_PARENT(place, link)) {
		if (!behind)
			continue;
		if (place->offset > index)
			return NULL;
		if (last_slot(place) >= index)
			return place;
		r = first_in(RB_RIGHT(place, link), index);
		if (r)
			return r;
	}
	return NULL;
}

/* ---- walks ---- */

/*
 * One walk visits all regions that show a slot.  There may be any number of regions, so it releases
 * the object's lock after every few and continues behind the last one, which may no longer exist.
 *
 * For all other threads the walk is one step all the same.  While object->walked names the slot, a
 * thread that reads it waits (faults) or tries again (pins); so does the next walk (object_lock.c).
 * So no entry for the slot is made meanwhile, and only the walker changes slot, mapcount and page.
 * Preemption stays off in the pauses: those who wait do not also wait for turns of the walker.
 * Other threads may still unmap: each entry goes under the lock, as if just before or just after
 * the walk.  A new region has no entries for the slot.  If a region is cut, its two parts have its
 * entries where they were; the upper part begins at a later slot, so it lies behind the lower one.
 */
struct walk {
	struct vm_object *object;
	u32 index;
	unsigned nr;                   /* regions visited */
	const struct vm_region *after; /* the last region visited, perhaps gone: never read */
	u32 offset;                    /* the slot at which that region begins */
};

/* The object's lock is held at the call and at the return, and may be released in between. */
static noinline struct vm_region *walk_on(struct walk *w) NO_LOCK_ANALYSIS
{
	struct vm_object *object = w->object;
	struct vm_region *r;

	CHECKED_ASSERT(spin_is_held(&object->lock));
	if (w->nr && w->nr % object->mem->vm.at_once == 0) {
		KASSERT(!object->walked || object->walked == w->index + 1);
		WRITE_ONCE(object->walked, w->index + 1);
		preempt_disable();
		spin_unlock(&object->lock);
		MM_EVENT(object->mem, RMAP_PAUSES);
		sched_point("rmap.pause");
		cpu_relax();
		spin_lock(&object->lock);
		preempt_enable();
	}
	r = next_region(object, w->after, w->offset, w->index);
	if (r) {
		w->after = r;
		w->offset = r->offset;
		w->nr++;
	} else if (object->walked) {
		object_walk_ends(object);
	}
	return r;
}

/* Most objects have one region: no search, and no pause. */
static always_inline struct vm_region *walk_next(struct walk *w)
{
	struct vm_region *r = RB_ROOT(&w->object->regions);

	if (!rmap_single(w->object) || w->object->walked)
		return walk_on(w);
	/* The lock was held since the walk began, so @r is the same region in each call. */
	if (w->nr || !r || r->offset > w->index || last_slot(r) < w->index)
		return NULL;
	w->nr = 1;
	return r;
}

#define FOR_EACH_REGION(r, w) while (((r) = walk_next(w)))

/* ---- entries ---- */

/* The address at which @r shows slot @index. */
static uintptr_t region_va(const struct vm_region *r, u32 index)
{
	KASSERT(index >= r->offset && index <= last_slot(r));
	return r->start + ((uintptr_t)(index - r->offset) << PAGE_SHIFT);
}

/* The entry maps the page already: give the entry the present protection of its region. */
static void raise(u64 *entry, u64 want)
{
	u64 old;

	do {
		old = READ_ONCE(*entry);
		KASSERT(pte_pfn(old) == pte_pfn(want));
	} while (!atomic_cas(entry, old, want | (old & (PTE_ACCESSED | PTE_DIRTY))));
}

int rmap_map(struct vm_region *r, uintptr_t va, struct page *page)
{
	struct pagetable *pt = &r->space->pt;
	u64 want = pte_make(page_to_pfn_in(pt->mem, page), r->prot);
	u64 *entry;
	int err = 0;

	KASSERT(va >= r->start && va < r->end);
	spin_lock(&pt->lock);
	entry = pt_entry_locked(pt, va);
	if (READ_ONCE(*entry) & PTE_PRESENT) {
		raise(entry, want);
		page_set_flags(page, PAGE_REFERENCED);
	} else {
		/* It cannot be a migration entry: then the slot would have a marker. */
		KASSERT(READ_ONCE(*entry) == 0);
		err = get_page_used(page);
		if (!err) {
			page->mapcount++;
			store_release(entry, want);
		}
	}
	spin_unlock(&pt->lock);
	return err;
}

/*
 * Replace an entry by @with.  Its accessed and dirty bits go to its page; @drop references of the
 * page, never the last, are dropped.  Returns the page; NULL: the entry showed none.
 */
static always_inline struct page *take_entry(struct memory *mem, u64 *entry, u64 with, u32 drop)
{
	u64 old = atomic_xchg(entry, with);
	struct page *page = pfn_to_page_in(mem, pte_pfn(old));
	u32 word, bits = 0;

	if (!(old & PTE_PRESENT))
		return NULL;
	if (old & PTE_ACCESSED)
		bits |= PAGE_REFERENCED;
	if (old & PTE_DIRTY)
		bits |= PAGE_DIRTY;
	PAGE_ASSERT(mem, page, page->mapcount > 0);
	PAGE_ASSERT(mem, page, word_ref(page_word(page)) >= page->mapcount + drop);
	page->mapcount--;
	do {
		word = page_word(page);
	} while ((drop | bits) && !atomic_cas(&page->word, word, (word - drop) | bits));
	return page;
}

struct page *rmap_take_entry(struct memory *mem, u64 *entry, u64 with)
{
	return take_entry(mem, entry, with, 0);
}

u64 rmap_age(struct vm_object *object, u32 index, struct tlb_gather *g)
{
	struct walk w = {.object = object, .index = index};
	struct vm_region *r;
	u64 bits = 0;

	FOR_EACH_REGION(r, &w)
	{
		struct pagetable *pt = &r->space->pt;
		uintptr_t va = region_va(r, index);
		u64 *entry = pt_entry(pt, va), old;

		if (!entry)
			continue;
		spin_lock(&pt->lock);
		/* An entry that is not present has neither bit. */
		old = READ_ONCE(*entry);
		bits |= old & (PTE_ACCESSED | PTE_DIRTY);
		/* A CPU whose TLB has the entry does not set the bit again before a flush. */
		if (old & PTE_ACCESSED) {
			atomic_and(entry, ~PTE_ACCESSED);
			tlb_gather_add(g, r->space, va);
		}
		spin_unlock(&pt->lock);
	}
	return bits;
}

/* Replace the entry at @va by @with, and drop its reference; false: there was no entry. */
static always_inline bool unmap_at(struct vm_region *r, uintptr_t va, u64 with)
    REQUIRES(r->space->pt.lock)
{
	u64 *entry = pt_entry_locked(&r->space->pt, va);

	if (!entry || !READ_ONCE(*entry))
		return false;
	take_entry(r->space->pt.mem, entry, with, 1);
	return true;
}

unsigned rmap_unmap(struct vm_object *object, u32 index, u64 with, struct tlb_gather *g)
{
	struct walk w = {.object = object, .index = index};
	struct vm_region *r;

	KASSERT(with == 0 || pte_is_migration(with));
	FOR_EACH_REGION(r, &w)
	{
		uintptr_t va = region_va(r, index);

		spin_lock(&r->space->pt.lock);
		if (unmap_at(r, va, with) && g)
			tlb_gather_add(g, r->space, va);
		spin_unlock(&r->space->pt.lock);
	}
	return w.nr;
}

/* Map @page at @va of @r if the migration entry @entry stands there. */
static always_inline void restore_at(
    struct vm_region *r, uintptr_t va, u64 entry, struct page *page) REQUIRES(r->space->pt.lock)
{
	u64 *place = pt_entry_locked(&r->space->pt, va);
	int err;

	if (!place || READ_ONCE(*place) != entry)
		return;
	/* The count cannot overflow: migration preserves the number of mappings. */
	err = get_page(page);
	KASSERT(!err);
	page->mapcount++;
	store_release(place, pte_make(page_to_pfn_in(r->space->pt.mem, page), r->prot));
}

void rmap_restore(struct vm_object *object, u32 index, u64 entry, struct page *page)
{
	struct walk w = {.object = object, .index = index};
	struct vm_region *r;

	KASSERT(pte_is_migration(entry));
	FOR_EACH_REGION(r, &w)
	{
		spin_lock(&r->space->pt.lock);
		restore_at(r, region_va(r, index), entry, page);
		spin_unlock(&r->space->pt.lock);
	}
}

/* ---- many pages ---- */

static u64 migration_entry(const struct memory *mem, const struct page *page)
{
	return pte_migration(page_to_pfn_in(mem, page));
}

static bool shows(const struct vm_region *r, u32 index)
{
	return index >= r->offset && index <= last_slot(r);
}

void rmap_migrate(struct vm_object *object, struct page **pages, unsigned nr, struct tlb_gather *g)
{
	struct vm_region *r = RB_ROOT(&object->regions);
	struct memory *mem = object->mem;
	unsigned i, before = g->nr;

	KASSERT(spin_is_held(&object->lock) && !object->walked);
	if (!r || !nr)
		return;
	if (!rmap_single(object)) {
		KASSERT(nr == 1);
		rmap_unmap(object, pages[0]->index, migration_entry(mem, pages[0]), g);
		return;
	}
	spin_lock(&r->space->pt.lock);
	for (i = 0; i < nr; i++) {
		u32 index = pages[i]->index;

		if (shows(r, index) &&
		    unmap_at(r, region_va(r, index), migration_entry(mem, pages[i])))
			tlb_gather_entry(g, r->space, region_va(r, index));
	}
	if (g->nr != before)
		tlb_gather_cpus(g, r->space);
	spin_unlock(&r->space->pt.lock);
}

void rmap_arrive(struct vm_object *object, struct page **old, struct page **new, unsigned nr)
{
	struct vm_region *r = RB_ROOT(&object->regions);
	struct memory *mem = object->mem;
	unsigned i;

	KASSERT(spin_is_held(&object->lock));
	if (!r || !nr)
		return;
	if (!rmap_single(object)) {
		KASSERT(nr == 1);
		rmap_restore(object, old[0]->index, migration_entry(mem, old[0]), new[0]);
		return;
	}
	spin_lock(&r->space->pt.lock);
	for (i = 0; i < nr; i++) {
		u32 index = old[i]->index;

		if (shows(r, index))
			restore_at(r, region_va(r, index), migration_entry(mem, old[i]), new[i]);
	}
	spin_unlock(&r->space->pt.lock);
}
