/* SPDX-License-Identifier: MIT */
/* pagetable.h: tables of pages, and what an entry says (pagetable.c). */
#ifndef QUARRY_MM_PAGETABLE_H
#define QUARRY_MM_PAGETABLE_H

#include <quarry/mm.h>
#include <quarry/vm.h>

/*
 * An empty top table, charged to the running thread's account as all others will be.  -ENOMEM,
 * -EDQUOT.
 */
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

#endif
