/* SPDX-License-Identifier: MIT */
/*
 * tlb.c: shootdowns: making CPUs flush TLB entries after page-table entries have changed.
 *
 * Owns:       page->kept; a struct tlb_gather belongs to the thread that changes the entries.
 * Locks:      vm.keeping, innermost, for kept pages; the cross-call is made with no lock of this
 *             file and no spin lock held.
 * Invariants: a page that was unmapped keeps a reference until no CPU can reach it through an old
 *             entry.  Until then the page is not freed; nor is it moved, since the reference makes
 *             a move fail.  Such a shootdown counts in mem->vm.flushing before the lock is released
 *             under which the page was unmapped.
 *             A CPU that died in a program answers no shootdown, and its bit in space->active stays
 *             set.  The pages of that shootdown are kept: its reference becomes a pin, so that
 *             nothing moves, frees or offlines them, until the CPU has loaded other tables.
 * Tests:      vm, vm_exact, tlb_many, migrate_race, reclaim_lru, silence_tlb.
 */
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/vm/vm.h"
#include <quarry/sched_point.h>

void (*tlb_flush_hook)(phys_t root, uintptr_t va, bool all);

void tlb_gather_init(struct tlb_gather *g, struct memory *mem)
{
	g->mem = mem;
	g->everybody = false;
	g->nr = g->nr_pages = 0;
	memset(g->cpus, 0, sizeof(g->cpus));
}

void tlb_gather_mask(struct tlb_gather *g, const cpumask_t *active, unsigned nr)
{
	unsigned i;

	for (i = 0; i < CPUMASK_WORDS(nr); i++) {
		cpumask_t cpus = load_acquire(&active[i]);

		if (i < ARRAY_SIZE(g->cpus))
			g->cpus[i] |= cpus;
		if (cpus && nr > TLB_CPUS)
			g->everybody = true;
	}
}

/*
 * The entries were changed before, each by a full barrier, and a CPU sets its bit before it loads
 * the tables (vm_space_enter).  So one whose bit is not seen here finds the new entries.
 */
void tlb_gather_cpus(struct tlb_gather *g, const struct vm_space *space)
{
	tlb_gather_mask(g, space->active, nr_cpus);
	sched_point("look.active");
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

/* Runs on each CPU of the shootdown.  The space may be gone, so only its root is used. */
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

/* ---- pages kept for a CPU that died; one that goes offline in order has other tables ---- */

/* Did the shootdown leave out a CPU because it is offline?  One that is online now was parked. */
static bool left_out(const struct tlb_gather *g)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(g->cpus) && i < CPUMASK_WORDS(nr_cpus); i++)
		if (g->cpus[i] & ~READ_ONCE(cpu_online_mask[i]))
			return true;
	return g->everybody;
}

/* Has an offline CPU the tables of a space loaded?  Until it has loaded others it may use them. */
static bool offline_cpu_has_tables(struct memory *mem)
{
	const struct vm_space *space;
	cpumask_t stuck = 0;
	unsigned i;

	spin_lock(&mem->vm.lock);
	LIST_FOREACH(space, &mem->vm.spaces, link) {
		for (i = 0; i < CPUMASK_WORDS(nr_cpus); i++)
			stuck |= load_acquire(&space->active[i]) & ~READ_ONCE(cpu_online_mask[i]);
	}
	spin_unlock(&mem->vm.lock);
	return stuck;
}

/* Make the caller's reference a pin, unless the page is kept already.  Under vm.keeping. */
static bool keep_page(struct memory *mem, struct page *page)
{
	if (page->kept)
		return false;
	if (!mem->vm.nr_kept)
		printk("vm: a CPU died in a program: pages that it may still use are kept\n");
	WRITE_ONCE(page->kept, 1);
	page_set_flags(page, PAGE_PINNED);
	atomic_add(&page->pincount, 1);
	WRITE_ONCE(mem->vm.nr_kept, mem->vm.nr_kept + 1);
	return true;
}

/* Keep the gathered pages.  Those that are left have references to be dropped. */
static noinline void keep_gathered(struct tlb_gather *g)
{
	struct memory *mem = g->mem;
	unsigned i, left = 0;

	mutex_lock(&mem->vm.keeping);
	for (i = 0; i < g->nr_pages; i++)
		if (!keep_page(mem, pfn_to_page_in(mem, g->page[i])))
			g->page[left++] = g->page[i];
	mutex_unlock(&mem->vm.keeping);
	g->nr_pages = left;
}

void tlb_keep(struct memory *mem, struct page *page)
{
	mutex_lock(&mem->vm.keeping);
	/* Without a further reference it has so many that it can be neither moved nor dropped. */
	if (!page->kept && !get_page(page))
		keep_page(mem, page);
	mutex_unlock(&mem->vm.keeping);
}

/* There is no list of the kept pages: dying CPUs are rare, and so a search may take its time. */
void tlb_release_kept(struct memory *mem)
{
	pfn_t pfn;

	if (likely(!READ_ONCE(mem->vm.nr_kept)) || offline_cpu_has_tables(mem))
		return;
	mutex_lock(&mem->vm.keeping);
	/* Checked again: pages may have been kept for another CPU meanwhile. */
	for (pfn = offline_cpu_has_tables(mem) ? mem->end_pfn : mem->start_pfn;
	     pfn < mem->end_pfn && mem->vm.nr_kept; pfn++) {
		struct page *page = pfn_to_page_in(mem, pfn);

		/* A kept page is in use, so its pageblock is online. */
		if (pageblock_state(pageblock_of(mem, pfn)) != PB_ONLINE || !READ_ONCE(page->kept))
			continue;
		WRITE_ONCE(page->kept, 0);
		WRITE_ONCE(mem->vm.nr_kept, mem->vm.nr_kept - 1);
		mem_unpin_page(mem, page);
	}
	mutex_unlock(&mem->vm.keeping);
}

/* ---- the shootdown ---- */

bool tlb_flush(struct tlb_gather *g)
{
	bool anybody = g->everybody, gathered = g->nr_pages > 0, all = true;
	struct page *pages[PUT_MANY];
	unsigned i, nr;
	int asked;

	for (i = 0; i < ARRAY_SIZE(g->cpus); i++)
		anybody |= g->cpus[i] != 0;
	KASSERT(spin_depth() == 0);
	tlb_release_kept(g->mem);
	if (anybody) {
		asked = smp_call_mask(g->everybody ? NULL : g->cpus, forget, g);
		KASSERT(asked >= 0);
		MM_EVENT(g->mem, TLB_ROUNDS);
		MM_EVENT_ADD(g->mem, TLB_ASKED, (u64)asked);
		all = !left_out(g) || !offline_cpu_has_tables(g->mem);
	}
	if (unlikely(!all))
		keep_gathered(g);
	for (i = 0; i < g->nr_pages; i += nr) {
		for (nr = 0; nr < PUT_MANY && i + nr < g->nr_pages; nr++)
			pages[nr] = pfn_to_page_in(g->mem, g->page[i + nr]);
		put_many(g->mem, pages, nr);
	}
	if (gathered) {
		u32 flushing = atomic_sub(&g->mem->vm.flushing, 1u);

		KASSERT(flushing > 0);
	}
	tlb_gather_init(g, g->mem);
	return all;
}

void tlb_flush_pending(struct memory *mem)
{
	struct tlb_gather g;

	tlb_gather_init(&g, mem);
	tlb_gather_all(&g);
	g.everybody = true;
	tlb_flush(&g);
}
