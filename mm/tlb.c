/* SPDX-License-Identifier: MIT */
/*
 * tlb.c: shootdowns: making CPUs flush TLB entries after page-table entries have changed.
 *
 * Owns:       nothing; a struct tlb_gather belongs to the thread that changes the entries.
 * Locks:      none; the cross-call is made with no spin lock held.
 * Invariants: a page that was unmapped keeps a reference until no CPU can reach it through an old
 *             entry.  Until then the page is not freed; nor is it moved, since the reference makes
 *             a move fail.  Such a shootdown counts in mem->vm.flushing before the lock is released
 *             under which the page was unmapped.
 * Tests:      vm, vm_exact, tlb_many, migrate_race, reclaim_lru.
 */
#include "mm/alloc.h"
#include "mm/event.h"
#include "mm/page_assert.h"
#include "mm/tlb.h"

void (*tlb_flush_hook)(phys_t root, uintptr_t va, bool all);

void tlb_gather_init(struct tlb_gather *g, struct memory *mem)
{
	unsigned i;

	g->mem = mem;
	g->everybody = false;
	g->nr = g->nr_pages = 0;
	for (i = 0; i < ARRAY_SIZE(g->cpus); i++)
		g->cpus[i] = 0;
}

/*
 * The entries were changed before, each in one step that is a full barrier; the mask is read now.
 * A CPU sets its bit before it loads the tables (vm_space_enter).  So a CPU whose bit is not seen
 * here reads the tables later, and finds the new entries.
 */
void tlb_gather_cpus(struct tlb_gather *g, const struct vm_space *space)
{
	unsigned i;

	for (i = 0; i < CPUMASK_WORDS(nr_cpus); i++) {
		cpumask_t cpus = load_acquire(&space->active[i]);

		if (i < ARRAY_SIZE(g->cpus))
			g->cpus[i] |= cpus;
		if (cpus && nr_cpus > TLB_CPUS)
			g->everybody = true;
	}
}

void tlb_gather_add(struct tlb_gather *g, const struct vm_space *space, uintptr_t va)
{
	tlb_gather_entry(g, space, va);
	tlb_gather_cpus(g, space);
}

void tlb_gather_page(struct tlb_gather *g, struct page *page)
{
	KASSERT(g->nr_pages < TLB_PAGES);
	PAGE_ASSERT(g->mem, page, word_ref(page_word(page)) > 0);
	if (g->nr_pages == 0)
		atomic_add(&g->mem->vm.flushing, 1u);
	g->page[g->nr_pages++] = (u32)page_to_pfn_in(g->mem, page);
}

/*
 * Runs on each CPU of the shootdown.  The space may have been freed meanwhile, so only its root is
 * used.
 */
static void forget(void *arg)
{
	const struct tlb_gather *g = arg;
	void (*hook)(phys_t, uintptr_t, bool) = READ_ONCE(tlb_flush_hook);
	unsigned i;

	if (g->nr > TLB_ENTRIES) {
		arch_tlb_flush_user();
		if (hook)
			hook(0, 0, true);
		return;
	}
	for (i = 0; i < g->nr; i++) {
		arch_tlb_flush_page(g->entry[i].root, g->entry[i].va);
		if (hook)
			hook(g->entry[i].root, g->entry[i].va, false);
	}
}

static void put_gathered(const struct tlb_gather *g, unsigned first, unsigned nr)
{
	struct page *pages[PUT_MANY];
	unsigned i;

	for (i = 0; i < nr; i++)
		pages[i] = pfn_to_page_in(g->mem, g->page[first + i]);
	put_many(g->mem, pages, nr);
}

void tlb_flush(struct tlb_gather *g)
{
	bool anybody = g->everybody;
	unsigned i;
	int asked;

	for (i = 0; i < ARRAY_SIZE(g->cpus); i++)
		anybody |= g->cpus[i] != 0;
	KASSERT(spin_depth() == 0);
	if (anybody) {
		asked = smp_call_mask(g->everybody ? NULL : g->cpus, forget, g);
		KASSERT(asked >= 0);
		MM_EVENT(g->mem, TLB_ROUNDS);
		MM_EVENT_ADD(g->mem, TLB_ASKED, (u64)asked);
	}
	for (i = 0; i < g->nr_pages; i += PUT_MANY)
		put_gathered(g, i, MIN(g->nr_pages - i, PUT_MANY));
	if (g->nr_pages) {
		u32 flushing = atomic_sub(&g->mem->vm.flushing, 1u);

		KASSERT(flushing > 0);
	}
	tlb_gather_init(g, g->mem);
}

void tlb_flush_pending(struct memory *mem)
{
	struct tlb_gather g;

	tlb_gather_init(&g, mem);
	tlb_gather_all(&g);
	g.everybody = true;
	tlb_flush(&g);
}
