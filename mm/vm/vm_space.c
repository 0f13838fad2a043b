/* SPDX-License-Identifier: MIT */
/*
 * vm_space.c: address spaces: regions that show objects at addresses, with a protection.
 *
 * Owns:       struct vm_space, struct vm_region, struct vm_use, and the list of a memory's spaces.
 * Locks:      space->change, which sleeps, for every change of regions; inside it space->lock for
 *             the tree, which faults read, and object->lock for the object's tree of regions.
 * Invariants: regions do not overlap, and each lies within its object.
 *             A region that is being unmapped has left the space's tree, so no fault maps a page in
 *             it.  It is still in the object's tree, so a thread that moves or drops a page finds
 *             its entries.  While space->change is held nothing else is mapped there.
 *             Regions that were cut are not joined again.
 *             A use counts the regions of its space that show one object, at least one.
 * Tests:      vm, vm_exact, vm_bad, account, short, vm_order, vm_guard, vm_late.
 */
#include "mm/vm/vm.h"
#include <quarry/account.h>
#include <quarry/sched_point.h>

#define ENTRIES_AT_ONCE 128 /* visited in one hold of the locks */

/*
 * Overlapping regions compare as equal.  An address is looked up as a region without pages:
 * RB_NFIND finds the region that contains it, or the next one.
 */
static int space_compare(const struct vm_region *a, const struct vm_region *b)
{
	if (a->end <= b->start)
		return -1;
	return a->start >= b->end;
}

RB_GENERATE_INTERNAL(vm_region_tree, vm_region, node, space_compare, unused static)

/* The region that contains @va, or the first one above it.  Under space->lock or space->change. */
static struct vm_region *region_from(struct vm_space *space, uintptr_t va)
{
	struct vm_region key = {.start = va, .end = va};

	return RB_NFIND(vm_region_tree, &space->regions, &key);
}

struct vm_region *region_find(struct vm_space *space, uintptr_t va)
{
	struct vm_region *r = region_from(space, va);

	return r && r->start <= va ? r : NULL;
}

static int use_compare(const struct vm_use *a, const struct vm_use *b)
{
	return a->object < b->object ? -1 : a->object > b->object;
}

RB_GENERATE_INTERNAL(vm_use_tree, vm_use, node, use_compare, unused static)

/*
 * Count one more region of @space that shows @object.  Returns 0 and *@out; -ENOMEM; -EMLINK: the
 * account's limit, which keeps a space from using up a page's references (PAGE_REF_MAX).
 */
static int use_get(struct vm_space *space, const struct vm_object *object, struct vm_use **out)
{
	struct vm_use key = {.object = object}, *use = RB_FIND(vm_use_tree, &space->uses, &key);

	KASSERT(mutex_is_held(&space->change));
	if (use && use->nr >= space->pt.account->max_mappings)
		return -EMLINK;
	if (!use) {
		use = kmalloc(sizeof(*use));
		if (!use)
			return -ENOMEM;
		use->object = object;
		RB_INSERT(vm_use_tree, &space->uses, use);
	}
	use->nr++;
	*out = use;
	return 0;
}

static void use_put(struct vm_space *space, struct vm_use *use)
{
	KASSERT(use->nr > 0);
	if (--use->nr > 0)
		return;
	RB_REMOVE(vm_use_tree, &space->uses, use);
	kfree(use);
}

static bool range_valid(uintptr_t va, unsigned long nr)
{
	return nr > 0 && !(va & (PAGE_SIZE - 1)) && va >= VM_USER_START && va < VM_USER_END &&
	    nr <= (VM_USER_END - va) >> PAGE_SHIFT;
}

static bool prot_valid(unsigned prot)
{
	return prot & VM_READ && !(prot & ~(VM_READ | VM_WRITE | VM_EXEC)) &&
	    (prot & (VM_WRITE | VM_EXEC)) != (VM_WRITE | VM_EXEC);
}

int vm_space_create(struct memory *mem, struct vm_space **out)
{
	struct vm_space *space;
	int err;

	if (!mem->backed)
		return -EINVAL;
	space = kmalloc(sizeof(*space) + CPUMASK_WORDS(nr_cpus) * sizeof(space->active[0]));
	if (!space)
		return -ENOMEM;
	space->change = MUTEX("space change");
	space->lock = SPINLOCK("space", RANK_SPACE);
	space->refs = 1;
	space->mem = mem;
	err = pt_init(&space->pt, mem);
	if (err) {
		kfree(space);
		return err;
	}
	spin_lock(&mem->vm.lock);
	LIST_INSERT_HEAD(&mem->vm.spaces, space, link);
	spin_unlock(&mem->vm.lock);
	*out = space;
	return 0;
}

void vm_space_get(struct vm_space *space)
{
	u32 refs = atomic_add(&space->refs, 1u);

	KASSERT(refs > 0 && refs < ~0u);
}

/* Allocate and charge memory for a region; returns 0 and *@out; -ENOMEM; -EDQUOT. */
static int region_alloc(const struct vm_space *space, struct vm_region **out)
{
	int err = account_charge(space->pt.account, ACCOUNT_REGIONS, 1);

	if (err)
		return err;
	*out = kmalloc(sizeof(**out));
	if (*out)
		return 0;
	account_uncharge(space->pt.account, ACCOUNT_REGIONS, 1);
	return -ENOMEM;
}

static void region_free(const struct vm_space *space, struct vm_region *r)
{
	kfree(r);
	account_uncharge(space->pt.account, ACCOUNT_REGIONS, 1);
}

/*
 * Insert a new region, which has a reference to its object, into the space's tree and the object's.
 * @lower, unless NULL, is the region whose upper part it becomes.
 */
static void region_insert(struct vm_space *space, struct vm_region *r, struct vm_region *lower)
{
	struct vm_region *other;

	KASSERT(mutex_is_held(&space->change));
	spin_lock(&space->lock);
	spin_lock(&r->object->lock);
	if (lower)
		rmap_cut(lower, r->start);
	other = RB_INSERT(vm_region_tree, &space->regions, r);
	KASSERT(!other);
	rmap_add(r);
	space->nr_regions++;
	spin_unlock(&r->object->lock);
	spin_unlock(&space->lock);
}

int vm_map(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot,
    struct vm_object *object, unsigned long offset)
{
	unsigned may = prot / VM_MAY(1u) ? prot / VM_MAY(1u) : VM_READ | VM_WRITE | VM_EXEC;
	struct vm_region *r, *next;
	int err;

	prot %= VM_MAY(1u);
	if (!range_valid(va, nr) || !prot_valid(prot) || prot & ~may || object->mem != space->mem ||
	    offset >= object->nr_pages || nr > object->nr_pages - offset)
		return -EINVAL;
	err = region_alloc(space, &r);
	if (err)
		return err;
	*r = (struct vm_region){.space = space,
	    .start = va,
	    .end = va + (nr << PAGE_SHIFT),
	    .offset = (u32)offset,
	    .prot = prot,
	    .may = may,
	    .object = object};
	mutex_lock(&space->change);
	next = region_from(space, va);
	err = next && next->start < r->end ? -EEXIST : use_get(space, object, &r->use);
	if (!err) {
		vm_object_get(object);
		region_insert(space, r, NULL);
	}
	mutex_unlock(&space->change);
	if (err)
		region_free(space, r);
	return err;
}

/* Split the region around @va there; @upper becomes the part above.  Mapped pages stay mapped. */
static void cut(struct vm_space *space, uintptr_t va, struct vm_region *upper)
{
	struct vm_region *r = region_find(space, va);

	KASSERT(r && r->start < va);
	*upper = (struct vm_region){.space = space,
	    .start = va,
	    .end = r->end,
	    .offset = region_index(r, va),
	    .prot = r->prot,
	    .may = r->may,
	    .object = r->object,
	    .use = r->use};
	r->use->nr++;
	vm_object_get(r->object);
	region_insert(space, upper, r);
}

/* Cut the regions that contain @start or @end; -ENOMEM, -EDQUOT: nothing is cut. */
static int cut_range(struct vm_space *space, uintptr_t start, uintptr_t end)
{
	const uintptr_t at[] = {start, end};
	struct vm_region *upper[2] = {NULL, NULL};
	unsigned i;
	int err = 0;

	for (i = 0; i < 2 && !err; i++) {
		const struct vm_region *r = region_find(space, at[i]);

		if (r && r->start != at[i])
			err = region_alloc(space, &upper[i]);
	}
	for (i = 0; i < 2; i++) {
		if (upper[i] && !err)
			cut(space, at[i], upper[i]);
		else if (upper[i])
			region_free(space, upper[i]);
	}
	return err;
}

/*
 * Call @change for each entry of @r that is not empty, some in each hold of the locks.  When this
 * returns, all CPUs have flushed the changed entries, and those that another thread has emptied.
 */
static always_inline void change_entries(struct vm_region *r,
    void (*change)(const struct vm_region *r, uintptr_t va, u64 *entry, struct tlb_gather *g))
{
	struct pagetable *pt = &r->space->pt;
	uintptr_t va = r->start;
	struct tlb_gather g;
	u64 *entry = NULL;

	tlb_gather_init(&g, pt->mem);
	while (va < r->end) {
		unsigned looked;

		spin_lock(&r->object->lock);
		spin_lock(&pt->lock);
		for (looked = 0; looked < ENTRIES_AT_ONCE && !tlb_gather_full(&g); looked++) {
			entry = pt_after(pt, entry, &va, r->end);
			if (!entry)
				break;
			if (READ_ONCE(*entry))
				change(r, va, entry, &g);
			va += PAGE_SIZE;
		}
		/* The removal's own shootdown comes later, and CPUs use its entries until then. */
		if (unlikely(READ_ONCE(r->object->unflushed)))
			tlb_gather_all(&g);
		if (g.nr)
			tlb_gather_cpus(&g, r->space);
		spin_unlock(&pt->lock);
		spin_unlock(&r->object->lock);
		sched_point("region.changed");
		tlb_flush(&g);
	}
}

/* A migration entry is removed like any other; the migrator will notice that it is gone. */
static void clear_entry(const struct vm_region *r, uintptr_t va, u64 *entry, struct tlb_gather *g)
{
	struct page *page = rmap_take_entry(r->space->mem, entry, 0);

	tlb_gather_entry(g, r->space, va);
	if (page)
		tlb_gather_page(g, page);
}

/* Unmap and free a region.  Under space->change, unless the space is being freed. */
static void region_remove(struct vm_space *space, struct vm_region *r)
{
	KASSERT(mutex_is_held(&space->change) || READ_ONCE(space->refs) == 0);
	KASSERT(space->nr_regions > 0);
	spin_lock(&space->lock);
	RB_REMOVE(vm_region_tree, &space->regions, r);
	space->found = NULL;
	space->nr_regions--;
	spin_unlock(&space->lock);
	sched_point("unmap.hidden");
	change_entries(r, clear_entry);
	sched_point("unmap.cleared");
	spin_lock(&r->object->lock);
	rmap_remove(r);
	spin_unlock(&r->object->lock);
	use_put(space, r->use);
	vm_object_put(r->object);
	region_free(space, r);
}

static void unmap_all(struct vm_space *space, uintptr_t start, uintptr_t end)
{
	struct vm_region *r;

	while ((r = region_from(space, start)) && r->start < end) {
		/* Regions were cut at the ends of the range. */
		KASSERT(r->start >= start && r->end <= end);
		region_remove(space, r);
	}
}

int vm_unmap(struct vm_space *space, uintptr_t va, unsigned long nr)
{
	uintptr_t end = va + (nr << PAGE_SHIFT);
	int err;

	if (!range_valid(va, nr))
		return -EINVAL;
	mutex_lock(&space->change);
	err = cut_range(space, va, end);
	if (!err)
		unmap_all(space, va, end);
	mutex_unlock(&space->change);
	return err;
}

void vm_space_put(struct vm_space *space)
{
	struct memory *mem = space->mem;
	u32 refs = atomic_sub(&space->refs, 1u);
	unsigned i;

	KASSERT(refs > 0);
	if (refs > 1)
		return;
	sched_point("space.last");
	for (i = 0; i < CPUMASK_WORDS(nr_cpus); i++)
		KASSERT(READ_ONCE(space->active[i]) == 0);
	unmap_all(space, VM_USER_START, VM_USER_END);
	KASSERT(space->nr_regions == 0 && RB_EMPTY(&space->uses));
	spin_lock(&mem->vm.lock);
	LIST_REMOVE(space, link);
	spin_unlock(&mem->vm.lock);
	pt_destroy(&space->pt);
	kfree(space);
}

/*
 * Remove the rights that @r does not allow; later faults add those that it newly allows.  A
 * migration entry has no rights: rmap_restore will read those of the region.  It is flushed all the
 * same: until the migrator's shootdown a CPU may use the entry that was there before.
 */
static void lower_entry(const struct vm_region *r, uintptr_t va, u64 *entry, struct tlb_gather *g)
{
	if (READ_ONCE(*entry) & PTE_PRESENT) {
		if (!(r->prot & VM_WRITE))
			atomic_and(entry, ~PTE_WRITE);
		if (!(r->prot & VM_EXEC))
			atomic_or(entry, PTE_NX);
	}
	tlb_gather_entry(g, r->space, va);
}

/* Is all of the range mapped, and may its protection become @prot?  Under space->change. */
static int check_range(struct vm_space *space, uintptr_t va, uintptr_t end, unsigned prot)
{
	int err = 0;

	while (va < end) {
		const struct vm_region *r = region_find(space, va);

		if (!r)
			return -EFAULT;
		if (prot & ~r->may)
			err = -EACCES;
		va = r->end;
	}
	return err;
}

int vm_protect(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot)
{
	uintptr_t end = va + (nr << PAGE_SHIFT);
	struct vm_region *r;
	int err;

	if (!range_valid(va, nr) || !prot_valid(prot))
		return -EINVAL;
	mutex_lock(&space->change);
	err = check_range(space, va, end, prot);
	if (!err)
		err = cut_range(space, va, end);
	for (; !err && va < end; va = r->end) {
		unsigned before;

		r = region_find(space, va);
		KASSERT(r && r->start == va && r->end <= end);
		before = r->prot;
		spin_lock(&space->lock);
		spin_lock(&r->object->lock);
		r->prot = prot;
		spin_unlock(&r->object->lock);
		spin_unlock(&space->lock);
		sched_point("protect.set");
		if (before & ~prot)
			change_entries(r, lower_entry);
	}
	mutex_unlock(&space->change);
	return err;
}

/*
 * Count the pages mapped at up to ENTRIES_AT_ONCE entries from *@va on, below @end, in zones up to
 * @highest.  Moves *@va behind them.
 */
static unsigned long count_entries(
    struct pagetable *pt, uintptr_t *va, uintptr_t end, enum zone_kind highest)
{
	unsigned long nr = 0;
	unsigned looked;

	spin_lock(&pt->lock);
	for (looked = 0; looked < ENTRIES_AT_ONCE; looked++, *va += PAGE_SIZE) {
		const u64 *entry = pt_next(pt, va, end);
		u64 pte = entry ? READ_ONCE(*entry) : 0;

		if (!entry)
			break;
		nr += pte && zone_of(pt->mem, pte_pfn(pte))->kind <= highest;
	}
	spin_unlock(&pt->lock);
	return nr;
}

/* Twice the space's pieces, each of which ends its region or has ENTRIES_AT_ONCE entries. */
static unsigned long most_pieces(struct vm_space *space)
{
	unsigned long nr = space->nr_regions;

	spin_lock(&space->pt.lock);
	nr += (unsigned long)space->pt.nr_tables * (PT_ENTRIES / ENTRIES_AT_ONCE);
	spin_unlock(&space->pt.lock);
	return 2 * nr;
}

unsigned long vm_space_resident(struct vm_space *space, enum zone_kind highest,
    void (*fn)(struct vm_object *object, unsigned long nr, void *arg), void *arg)
{
	unsigned long sum = 0, nr, left;
	struct vm_object *object;
	struct vm_region *r;
	uintptr_t va = 0, end;

	for (left = 1; left > 0; left--) {
		spin_lock(&space->lock);
		if (va == 0)
			left = most_pieces(space);
		r = region_from(space, va);
		if (!r) {
			spin_unlock(&space->lock);
			break;
		}
		object = r->object;
		vm_object_get(object);
		va = MAX(va, r->start);
		end = r->end;
		spin_unlock(&space->lock);
		/* Tables stay as long as the space, which the caller keeps. */
		nr = count_entries(&space->pt, &va, end, highest);
		if (fn)
			fn(object, nr, arg);
		vm_object_put(object);
		sum += nr;
		sched_point("space.counted");
	}
	return sum;
}
