/* SPDX-License-Identifier: MIT */
/*
 * pagetable.c: page tables of address spaces: four levels, in the format of x86_64 everywhere.
 *
 * Owns:       pages in state PGTABLE, and the entries that link tables.
 * Locks:      pagetable.lock (RANK_PT) to link a table; lookups need none.
 * Invariants: a linked table stays until pt_destroy: so walks need no lock, and the place of an
 *             entry does not change.  Tables are linked filled with zeroes, by a release store.
 * Tests:      vm, vm_object, account, short, vm_exact, vm_guard, vm_late.
 */
#include "mm/core/page.h"
#include "mm/vm/vm.h"
#include <quarry/account.h>
#include <quarry/sched_point.h>

#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER)
/* Entries of the top table that are for user addresses. */
#define USER_ENTRIES (PT_ENTRIES / 2)

/* Allocate a table, which is not charged yet; NULL: no memory. */
static struct page *table_alloc(const struct pagetable *pt)
{
	struct page *page;

	while ((page = mem_alloc_pages(pt->mem, GFP_KERNEL | GFP_ZERO, 0)) &&
	    !page_take_state(page, PG_PGTABLE))
		mem_free_pages(pt->mem, page, 0);
	return page;
}

static void table_free(const struct pagetable *pt, struct page *page)
{
	page_cas_state(page, PG_PGTABLE, PG_ALLOC);
	mem_free_pages(pt->mem, page, 0);
}

/* Walk down towards @va as far as there are tables.  The last entry; *@level is its level. */
static u64 *walk(const struct pagetable *pt, uintptr_t va, unsigned *level)
{
	u64 *table = arch_phys_to_virt(pt->root);
	unsigned l = PT_LEVELS - 1;

	for (;;) {
		u64 *entry = &table[(u64)va >> PT_SHIFT(l) & (PT_ENTRIES - 1)], next;

		*level = l;
		if (l == 0)
			return entry;
		next = load_acquire(entry);
		if (!(next & PTE_PRESENT))
			return entry;
		table = arch_phys_to_virt(next & PTE_ADDRESS);
		l--;
	}
}

u64 *pt_entry(const struct pagetable *pt, uintptr_t va)
{
	unsigned level;
	u64 *entry = walk(pt, va, &level);

	return level ? NULL : entry;
}

/* The last leaf table is remembered: no table is freed before pt_destroy. */
u64 *pt_entry_anew(struct pagetable *pt, uintptr_t va)
{
	u64 *entry = pt_entry(pt, va);

	KASSERT(spin_is_held(&pt->lock));
	if (entry) {
		WRITE_ONCE(pt->leaf_of, va >> PT_SHIFT(1));
		pt->leaf = entry - (va >> PAGE_SHIFT & (PT_ENTRIES - 1));
	}
	return entry;
}

u64 *pt_next(const struct pagetable *pt, uintptr_t *va, uintptr_t end)
{
	while (*va < end) {
		unsigned level;
		u64 *entry = walk(pt, *va, &level), step = UINT64_C(1) << PT_SHIFT(level);

		if (level == 0)
			return entry;
		*va = (uintptr_t)MIN(ALIGN_DOWN((u64)*va, step) + step, (u64)end);
	}
	return NULL;
}

int pt_init(struct pagetable *pt, struct memory *mem)
{
	struct page *page;
	int err;

	*pt = (struct pagetable){.mem = mem,
	    .account = account_current(),
	    .lock = SPINLOCK("pagetable", RANK_PT),
	    .leaf_of = PT_NO_LEAF,
	    .nr_tables = 1};
	err = account_charge(pt->account, ACCOUNT_TABLES, 1);
	if (err)
		return err;
	page = table_alloc(pt);
	if (!page) {
		account_uncharge(pt->account, ACCOUNT_TABLES, 1);
		return -ENOMEM;
	}
	account_get(pt->account);
	pt->root = (phys_t)page_to_pfn_in(mem, page) << PAGE_SHIFT;
	arch_pagetable_init(arch_phys_to_virt(pt->root));
	return 0;
}

/*
 * Link the table @page at @entry.  Only a linked table is charged: two faults that need the same
 * table are charged for one, and neither is refused because of the other.  Returns 0; -EEXIST
 * another fault has linked one; -EDQUOT.
 */
static int table_link(struct pagetable *pt, u64 *entry, const struct page *page)
{
	int err;

	spin_lock(&pt->lock);
	err = READ_ONCE(*entry) ? -EEXIST : account_charge(pt->account, ACCOUNT_TABLES, 1);
	if (!err) {
		/* The page may have broken since its allocation, so poison flags are allowed. */
		PAGE_ASSERT(
		    pt->mem, page, (page_word(page) & ~PAGE_POISON) == PAGE_WORD(1, PG_PGTABLE, 0));
		store_release(entry, (u64)page_to_pfn_in(pt->mem, page) << PAGE_SHIFT | PTE_TABLE);
		/* The remembered leaf would hide a mistake: a table linked over another one. */
		WRITE_ONCE(pt->leaf_of, PT_NO_LEAF);
		pt->nr_tables++;
	}
	spin_unlock(&pt->lock);
	return err;
}

static noinline int make_tables(struct pagetable *pt, uintptr_t va)
{
	for (;;) {
		unsigned level;
		u64 *entry = walk(pt, va, &level);
		struct page *page;
		int err;

		if (level == 0)
			return 0;
		page = table_alloc(pt);
		if (!page && !READ_ONCE(*entry))
			return -ENOMEM;
		if (!page)
			continue;
		sched_point("pt.table");
		err = table_link(pt, entry, page);
		if (err) {
			sched_point("pt.lost");
			table_free(pt, page);
		}
		if (err && err != -EEXIST)
			return err;
	}
}

int pt_prepare(struct pagetable *pt, uintptr_t va)
{
	KASSERT(va >= VM_USER_START && va < VM_USER_END);
	if (likely(READ_ONCE(pt->leaf_of) == va >> PT_SHIFT(1)))
		return 0;
	return make_tables(pt, va);
}

/* Free the tables that the first @nr entries of the table at @phys link, then that table itself. */
static void free_tables(struct pagetable *pt, phys_t phys, unsigned level, unsigned nr)
{
	const u64 *table = arch_phys_to_virt(phys);
	unsigned i;

	KASSERT(pt->nr_tables > 0 && !(phys & (PAGE_SIZE - 1)));
	for (i = 0; i < nr; i++) {
		if (level == 0)
			KASSERT(table[i] == 0);
		else if (table[i])
			free_tables(pt, table[i] & PTE_ADDRESS, level - 1, PT_ENTRIES);
	}
	pt->nr_tables--;
	table_free(pt, pfn_to_page_in(pt->mem, phys >> PAGE_SHIFT));
	account_uncharge(pt->account, ACCOUNT_TABLES, 1);
}

void pt_destroy(struct pagetable *pt)
{
	free_tables(pt, pt->root, PT_LEVELS - 1, USER_ENTRIES);
	KASSERT(pt->nr_tables == 0);
	account_put(pt->account);
}
