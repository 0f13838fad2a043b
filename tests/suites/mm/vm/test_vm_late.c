/* SPDX-License-Identifier: MIT */
/*
 * test_vm_late.c: another thread acts just before a lock is taken, just after it is released, or
 * while an allocation fails. And freed memory is not read again.
 */
#include "tests/lib/vm_help.h"
#include <quarry/account.h>
#include <quarry/poison.h>

/* ---- a copy that is late ---- */

static struct {
	const void *lock;       /* the lock that is watched; NULL: allocations */
	unsigned before, after; /* call @then before this taking, after this release; 0: never */
	void (*then)(void);
	unsigned calls;
} late;

static void come_first(const void *what, unsigned *count)
{
	if (!late.then || late.lock != what || !*count || --*count)
		return;
	late.calls++;
	late.then();
}

static void late_lock(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	come_first(lock, &late.before);
	spin_lock(lock);
}

static void late_unlock(struct spinlock *lock) NO_LOCK_ANALYSIS
{
	spin_unlock(lock);
	come_first(lock, &late.after);
}

static void late_mutex_lock(struct mutex *lock) NO_LOCK_ANALYSIS
{
	come_first(lock, &late.before);
	mutex_lock(lock);
}

static struct page *newest; /* the last page allocated */

static struct page *late_alloc(struct memory *mem, gfp_t gfp, unsigned order)
{
	unsigned calls = late.calls;

	come_first(NULL, &late.before);
	newest = late.calls == calls ? mem_alloc_pages(mem, gfp, order) : NULL;
	return newest;
}

/* Small objects are filled with ones when they are freed. */
static struct {
	void *object;
	size_t size;
} small[64];

static void *late_kmalloc(size_t size)
{
	void *object = kmalloc(size);
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(small) && small[i].object; i++)
		;
	if (object && i < ARRAY_SIZE(small)) {
		small[i].object = object;
		small[i].size = size;
	}
	return object;
}

static void late_kfree(void *object)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(small); i++) {
		if (small[i].object != object)
			continue;
		memset(object, 0xff, small[i].size);
		small[i].object = NULL;
	}
	kfree(object);
}

#define spin_lock       late_lock
#define spin_unlock     late_unlock
#define mutex_lock      late_mutex_lock
#define mem_alloc_pages late_alloc
#define kmalloc         late_kmalloc
#define kfree           late_kfree
#include "tests/host/vm_copy.h"

/* ---- the scene ---- */

static struct vm_scene s;
static struct ktest *test;

/* An object of the copy, in a space of the copy; its second page is present. */
static bool begin(struct ktest *t, const struct vm_pager_ops *ops)
{
	int err;

	test = t;
	memset(&late, 0, sizeof(late));
	memset(small, 0, sizeof(small));
	if (t->mem != s.mem || !s.mem)
		s.mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE);
	if (!s.mem)
		return false;
	s.free = memory_free_pages(s.mem);
	err = vm_object_create(s.mem, ops ? OBJ_PAGER : OBJ_ANON, 600, ops, NULL, &s.object);
	err = err ? err : vm_space_create(s.mem, &s.space);
	err = err ? err : vm_map(s.space, VM_BASE, 600, VM_RW, s.object, 0);
	err = err ? err : vm_object_supply(s.object, 1, NULL);
	EXPECT_EQ(t, err, 0);
	return !err;
}

static void end(struct ktest *t)
{
	vm_space_put(s.space);
	vm_object_put(s.object);
	s.space = NULL;
	s.object = NULL;
	memset(&late, 0, sizeof(late));
	scene_end(t, &s);
}

/*
 * Just before lock @l is taken for the @n-th time, @meanwhile is called; then @call returns @want.
 */
#define LATE(t, l, n, meanwhile, call, want)                                                       \
	do {                                                                                       \
		memset(&late, 0, sizeof(late));                                                    \
		late.lock = (l);                                                                   \
		late.before = (n);                                                                 \
		late.then = (meanwhile);                                                           \
		EXPECT_EQ(t, (call), (want));                                                      \
		EXPECT_EQ(t, late.calls, 1);                                                       \
	} while (0)

static void supply_it(void)
{
	EXPECT_EQ(test, vm_object_supply(s.object, 5, NULL), 0);
}

static void supply_far(void)
{
	EXPECT_EQ(test, vm_object_supply(s.object, 513, NULL), 0);
}

static void remove_it(void)
{
	EXPECT_EQ(test, vm_object_remove(s.object, 5, 1), 0);
}

static void prepare_far(void)
{
	EXPECT_EQ(test, object_prepare(s.object, 513, 0), 0);
}

static void unmap_five(void)
{
	EXPECT_EQ(test, vm_unmap(s.space, page_at(5), 1), 0);
}

static void link_tables(void)
{
	EXPECT_EQ(test, pt_prepare(&s.space->pt, page_at(5)), 0);
}

static void map_it(void)
{
	EXPECT_EQ(test, vm_map(s.space, page_at(5), 1, VM_RW, s.object, 5), 0);
}

KTEST_SUITE(vm_late, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- locks ---- */

KTEST(slots_are_checked_again_under_the_lock)
{
	struct page *page = NULL;

	if (!begin(t, NULL))
		return;
	LATE(t, &s.object->lock, 2, supply_it, vm_object_supply(s.object, 5, NULL), -EEXIST);
	LATE(t, &s.object->lock, 1, remove_it, vm_object_pin(s.object, 5, &page), -ENOENT);
	LATE(t, &s.object->lock, 1, supply_it, vm_object_has(s.object, 5), 1);
	LATE(t, &s.object->lock, 1, remove_it, vm_object_has(s.object, 5), 0);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_MOVABLE), 1);
	/* The lock is taken for each table of slots. */
	LATE(t, &s.object->lock, 2, supply_far, vm_object_pages(s.object, ZONE_MOVABLE), 2);
	end(t);
}

KTEST(fault_checks_again_under_the_lock)
{
	if (!begin(t, NULL))
		return;
	LATE(t, &s.space->pt.lock, 1, link_tables, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	EXPECT_EQ(t, s.space->pt.nr_tables, PT_LEVELS);
	EXPECT(t, pte_at(s.space, page_at(5)));
	LATE(t, &s.space->lock, 1, unmap_five, vm_fault(s.space, page_at(5), VM_WRITE), -EFAULT);
	end(t);
}

KTEST(space_is_checked_again_under_its_lock)
{
	if (!begin(t, NULL))
		return;
	EXPECT_EQ(t, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(7), VM_WRITE), 0);
	LATE(t, &s.space->change, 1, unmap_five, vm_protect(s.space, page_at(4), 3, VM_READ),
	    -EFAULT);
	LATE(t, &s.space->change, 1, map_it, vm_map(s.space, page_at(5), 1, VM_RW, s.object, 5),
	    -EEXIST);
	EXPECT_EQ(t, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	LATE(t, &s.space->lock, 2, unmap_five, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL),
	    1);
	map_it();
	EXPECT_EQ(t, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	/*
	 * A region is removed just before it is counted: the region behind it is counted all the
	 * same.
	 */
	memset(&late, 0, sizeof(late));
	late.lock = &s.space->lock;
	late.after = 2;
	late.then = unmap_five;
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 1);
	EXPECT_EQ(t, late.calls, 1);
	end(t);
}

static void age_changes(void)
{
	u64 *entry = pt_entry(&s.space->pt, page_at(5));

	atomic_and(entry, ~PTE_ACCESSED);
	atomic_or(entry, PTE_DIRTY);
}

static u64 age(struct tlb_gather *g)
{
	u64 bits;

	spin_lock(&s.object->lock);
	bits = rmap_age(s.object, 5, g);
	spin_unlock(&s.object->lock);
	return bits;
}

KTEST(entry_is_checked_again_under_the_lock)
{
	struct tlb_gather g;

	if (!begin(t, NULL))
		return;
	EXPECT_EQ(t, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	atomic_or(pt_entry(&s.space->pt, page_at(5)), PTE_ACCESSED);
	tlb_gather_init(&g, s.mem);
	LATE(t, &s.space->pt.lock, 1, age_changes, age(&g), PTE_DIRTY);
	EXPECT_EQ(t, g.nr, 0);
	tlb_flush(&g);
	end(t);
}

static pfn_t broken;

static void break_newest(void)
{
	broken = page_to_pfn_in(s.mem, newest);
	EXPECT_EQ(test, mem_memory_failure(s.mem, broken, 0, NULL), -EBUSY);
}

/* Like any broken page of the kernel in use, it is retired when it is freed. */
KTEST(table_that_breaks_before_it_is_linked_is_used)
{
	if (!begin(t, NULL))
		return;
	LATE(t, &s.space->pt.lock, 1, break_newest, pt_prepare(&s.space->pt, page_at(5)), 0);
	EXPECT_EQ(t, s.space->pt.nr_tables, PT_LEVELS);
	vm_space_put(s.space);
	EXPECT_EQ(t, mem_unpoison_page(s.mem, broken), 0);
	REQUIRE(t, !vm_space_create(s.mem, &s.space));
	end(t);
}

/* ---- memory ---- */

static unsigned gets;

static int count_get(struct vm_object *object, u32 index)
{
	gets++;
	return -EIO;
}

static const struct vm_pager_ops counting = {.get = count_get};

/* A call that gets no memory still succeeds if another thread has added the table meanwhile. */
KTEST(table_added_by_another_thread_is_used)
{
	if (!begin(t, NULL))
		return;
	LATE(t, NULL, 1, link_tables, pt_prepare(&s.space->pt, page_at(5)), 0);
	LATE(t, NULL, 1, prepare_far, object_prepare(s.object, 513, 0), 0);
	LATE(t, NULL, 1, supply_it, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	EXPECT(t, pte_at(s.space, page_at(5)));
	end(t);
	gets = 0;
	if (!begin(t, &counting))
		return;
	EXPECT_EQ(t, pt_prepare(&s.space->pt, page_at(5)), 0);
	LATE(t, NULL, 1, supply_it, vm_fault(s.space, page_at(5), VM_READ), 0);
	EXPECT(t, pte_at(s.space, page_at(5)));
	EXPECT_EQ(t, gets, 0);
	end(t);
}

/* ---- a pager's page ---- */

static unsigned too_early; /* so many requests bring no page that stays */
static int refusal;

/* As a pager's function does, it notes when the access began. */
static int bring(struct vm_object *object, u32 index)
{
	port_task()->access_ns = 7;
	gets++;
	return refusal || gets <= too_early ? refusal : vm_object_supply(object, index, NULL);
}

static const struct vm_pager_ops bringing = {.get = bring};

/* If the fault returned before, another thread could map the page, and no fault would follow. */
KTEST(fault_asks_until_the_page_is_mapped)
{
	gets = 0;
	too_early = 2;
	if (!begin(t, &bringing))
		return;
	EXPECT_EQ(t, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	EXPECT_EQ(t, gets, 3);
	EXPECT(t, pte_at(s.space, page_at(5)));
	EXPECT_EQ(t, port_task()->access_ns, 0);
	end(t);
	too_early = 0;
}

/* The time of an access that has failed, or lost its region, is not that of the next one. */
KTEST(access_that_has_ended_leaves_no_time)
{
	gets = 0;
	if (!begin(t, &bringing))
		return;
	LATE(t, &s.space->lock, 2, unmap_five, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	EXPECT_EQ(t, gets, 1);
	EXPECT_EQ(t, port_task()->access_ns, 0);
	refusal = -EIO;
	EXPECT_EQ(t, vm_fault(s.space, page_at(6), VM_WRITE), -EIO);
	EXPECT_EQ(t, gets, 2);
	EXPECT_EQ(t, port_task()->access_ns, 0);
	refusal = 0;
	end(t);
}

/* A fault on a present page allocates nothing. */
KTEST(present_page_needs_no_allocation)
{
	u64 allocs;

	gets = 0;
	if (!begin(t, &counting))
		return;
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_READ), 0);
	EXPECT_EQ(t, gets, 0);
	memset(&late, 0, sizeof(late));
	late.before = 1000;
	late.then = supply_it;
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 600), 0);
	EXPECT_EQ(t, vm_map(s.space, VM_BASE, 600, VM_RW, s.object, 0), 0);
	allocs = late.before;
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_READ), 0);
	EXPECT_EQ(t, late.before, allocs);
	EXPECT_EQ(t, vm_fault(s.space, page_at(2), VM_READ), -EIO);
	EXPECT_EQ(t, gets, 1);
	end(t);
}

/* ---- accounts ---- */

static u64 left_charged;
static unsigned released;

static void look_at_the_end(struct account *account)
{
	unsigned i;

	released++;
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		left_charged += account->used[i];
}

/* When the last reference to an account is dropped, nothing is charged to it. */
KTEST(account_ends_with_a_balance_of_0)
{
	struct account mine = {.parent = &account_all,
	                   .limit = {[0 ... NR_ACCOUNT_KINDS - 1] = ~0ULL},
	                   .max_mappings = ~0ULL,
	                   .refs = 1,
	                   .release = look_at_the_end},
	               *before;
	struct memory *mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE);
	struct vm_object *object = NULL;
	struct vm_space *space = NULL;

	if (!mem)
		return;
	memset(&late, 0, sizeof(late));
	left_charged = 0;
	released = 0;
	before = account_use(&mine);
	EXPECT_EQ(t, vm_object_create(mem, OBJ_ANON, 600, NULL, NULL, &object), 0);
	account_use(before);
	account_put(&mine); /* the object has the last reference */
	REQUIRE(t, object);
	EXPECT_EQ(t, vm_object_supply(object, 599, NULL), 0);
	EXPECT_EQ(t, mine.refs, 1);
	vm_object_put(object);
	EXPECT_EQ(t, released, 1);
	mine.refs = 1;
	before = account_use(&mine);
	EXPECT_EQ(t, vm_space_create(mem, &space), 0);
	account_use(before);
	account_put(&mine);
	REQUIRE(t, space);
	EXPECT_EQ(t, pt_prepare(&space->pt, VM_BASE), 0);
	EXPECT_EQ(t, mine.refs, 1);
	vm_space_put(space);
	EXPECT_EQ(t, released, 2);
	EXPECT_EQ(t, left_charged, 0);
}
