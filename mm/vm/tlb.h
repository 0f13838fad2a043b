/* SPDX-License-Identifier: MIT */
/* tlb.h: shootdowns: changed page-table entries are gathered, then flushed everywhere (tlb.c). */
#ifndef QUARRY_MM_TLB_H
#define QUARRY_MM_TLB_H

#include <quarry/mm.h>
#include <quarry/vm.h>

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
/*
 * Gather the CPUs that must flush entries of @space, after the entries are changed, under the lock
 * under which they were changed.
 */
void tlb_gather_cpus(struct tlb_gather *g, const struct vm_space *space);
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

#endif
