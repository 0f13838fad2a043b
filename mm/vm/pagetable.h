/* SPDX-License-Identifier: MIT */
/* pagetable.h: page tables and their entries (pagetable.c). */
#ifndef QUARRY_MM_PAGETABLE_H
#define QUARRY_MM_PAGETABLE_H

#include <quarry/mm.h>
#include <quarry/vm.h>

/*
 * Create an empty top table, charged to the running thread's account, as all further tables will
 * be.  -ENOMEM, -EDQUOT.
 */
int pt_init(struct pagetable *pt, struct memory *mem);
/* Free all tables; no entry of the last level is in use. */
void pt_destroy(struct pagetable *pt);
/* Create the missing tables down to the one for @va.  May sleep; -ENOMEM, -EDQUOT. */
int pt_prepare(struct pagetable *pt, uintptr_t va);
/* The entry for @va; NULL: there is no table for it.  Tables stay, so the entry stays valid. */
u64 *pt_entry(const struct pagetable *pt, uintptr_t va);
/*
 * pt_entry under the tables' lock.  Callers use pt_entry_locked, which is quick if the last call
 * was for the same table, and otherwise calls pt_entry_anew.
 */
u64 *pt_entry_anew(struct pagetable *pt, uintptr_t va) REQUIRES(pt->lock);
#define PT_LEAF_SHIFT (PAGE_SHIFT + 9)
#define PT_NO_LEAF    (~(uintptr_t)0) /* for leaf_of: no leaf is remembered */
static inline u64 *pt_entry_locked(struct pagetable *pt, uintptr_t va) REQUIRES(pt->lock)
{
	if (likely(pt->leaf_of == va >> PT_LEAF_SHIFT))
		return pt->leaf + (va >> PAGE_SHIFT & ((1U << (PT_LEAF_SHIFT - PAGE_SHIFT)) - 1));
	return pt_entry_anew(pt, va);
}
/*
 * Find the first address from *@va on, below @end, that has a table.  Returns its entry, and the
 * address in *@va; NULL: there is none.
 */
u64 *pt_next(const struct pagetable *pt, uintptr_t *va, uintptr_t end);
/*
 * pt_next, if @entry is the entry for the page before *@va, or NULL.  The result is mostly the next
 * entry of the same table.
 */
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

#endif
