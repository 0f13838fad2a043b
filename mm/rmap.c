/* SPDX-License-Identifier: MIT */
/*
 * rmap.c: from a page to the entries that map it: its object, the object's regions, their tables.
 *
 * Owns:       mapcounts, and the last level's entries.
 * Locks:      the lock of the object, and inside it that of each table.
 * Invariants: a present entry holds one reference to its page and counts once in its mapcount; a
 *             migration entry holds neither.  Bits that a machine has set in an entry are collected
 *             in the instruction that takes it away, so none is lost.
 * Tests:      tests/test_vm.c, tests/test_migrate_lru.c.
 */
#include "mm/vm_priv.h"

/* Where @r shows slot @index; 0: nowhere. */
static uintptr_t region_va(const struct vm_region *r, u32 index)
{
	if (index < r->offset || index - r->offset >= (r->end - r->start) >> PAGE_SHIFT)
		return 0;
	return r->start + ((uintptr_t)(index - r->offset) << PAGE_SHIFT);
}

/* The entry has its page already: a region that allows more since then shows it now. */
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
	u64 *entry = pt_entry(pt, va);
	int err = 0;

	spin_lock(&pt->lock);
	if (READ_ONCE(*entry) & PTE_PRESENT) {
		raise(entry, want);
	} else {
		/* No migration entry: there would be a marker in the slot. */
		KASSERT(READ_ONCE(*entry) == 0);
		err = get_page(page);
		if (!err) {
			page->mapcount++;
			store_release(entry, want);
		}
	}
	spin_unlock(&pt->lock);
	return err;
}

struct page *rmap_take_entry(struct memory *mem, u64 *entry, u64 with)
{
	u64 old = atomic_xchg(entry, with);
	struct page *page = pfn_to_page_in(mem, pte_pfn(old));

	if (!(old & PTE_PRESENT))
		return NULL;
	if (old & PTE_ACCESSED)
		page_set_flags(page, PAGE_REFERENCED);
	if (old & PTE_DIRTY)
		page_set_flags(page, PAGE_DIRTY);
	KASSERT(page->mapcount > 0);
	page->mapcount--;
	return page;
}

u64 rmap_age(struct vm_object *object, u32 index, struct tlb_gather *g)
{
	struct vm_region *r;
	u64 bits = 0;

	LIST_FOREACH(r, &object->regions, link) {
		struct pagetable *pt = &r->space->pt;
		uintptr_t va = region_va(r, index);
		u64 *entry = va ? pt_entry(pt, va) : NULL, old;

		if (!entry)
			continue;
		spin_lock(&pt->lock);
		old = READ_ONCE(*entry);
		if (old & PTE_PRESENT)
			bits |= old & (PTE_ACCESSED | PTE_DIRTY);
		/* A machine that has the entry cached does not set the bit again before it forgets it. */
		if (old & PTE_PRESENT && old & PTE_ACCESSED) {
			atomic_and(entry, ~PTE_ACCESSED);
			tlb_gather_add(g, r->space, va);
		}
		spin_unlock(&pt->lock);
	}
	return bits;
}

void rmap_unmap(struct vm_object *object, u32 index, u64 with, struct tlb_gather *g)
{
	struct memory *mem = object->mem;
	struct vm_region *r;

	LIST_FOREACH(r, &object->regions, link) {
		struct pagetable *pt = &r->space->pt;
		uintptr_t va = region_va(r, index);
		u64 *entry = va ? pt_entry(pt, va) : NULL;
		struct page *page;

		if (!entry)
			continue;
		spin_lock(&pt->lock);
		/* Somebody else's migration entry goes too; of nothing there is nothing to take. */
		if (READ_ONCE(*entry)) {
			page = rmap_take_entry(mem, entry, READ_ONCE(*entry) & PTE_PRESENT ? with : 0);
			if (g)
				tlb_gather_add(g, r->space, va);
			/* Not the last one: the caller has another. */
			if (page)
				mem_put_page(mem, page);
		}
		spin_unlock(&pt->lock);
	}
}

void rmap_restore(struct vm_object *object, u32 index, u64 entry, struct page *page)
{
	struct vm_region *r;

	LIST_FOREACH(r, &object->regions, link) {
		struct pagetable *pt = &r->space->pt;
		uintptr_t va = region_va(r, index);
		u64 *place = va ? pt_entry(pt, va) : NULL;

		if (!place)
			continue;
		spin_lock(&pt->lock);
		if (READ_ONCE(*place) == entry) {
			/* Not at the limit: it has no more mappings than it, or its source, had. */
			int err = get_page(page);

			KASSERT(!err);
			page->mapcount++;
			store_release(place, pte_make(page_to_pfn_in(pt->mem, page), r->prot));
		}
		spin_unlock(&pt->lock);
	}
}
