/* SPDX-License-Identifier: MIT */
/*
 * test_vm_late.c: another thread acts just before a lock is taken, just after it is released, or
 * while an allocation fails. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/vm_help.h"
#include <quarry/account.h>
#include <quarry/memory_init.h>
#include <quarry/poison.h>

/* ---- the scene ---- */

static struct vm_scene s;
static struct ktest *test;

/* The second page of the object is present. */
static bool begin(struct ktest *t, const struct vm_pager_ops *ops)
{
	int err;

	test = t;
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
	scene_end(t, &s);
}

/* Just before lock @l is taken for the @n-th time, @meanwhile is called; @call returns @want. */
#define LATE(t, l, n, meanwhile, call, want)                                                       \
	EXPECT_AT(t, call, want, .lock = (l), .nth = (n), .act = (meanwhile))

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
	EXPECT_AT(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 1,
	    .lock = &s.space->lock, .step = LOCK_LEFT, .nth = 2, .act = unmap_five);
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

/* The one table besides the root breaks. */
static void break_newest(void)
{
	broken = s.mem->start_pfn;
	while (broken == s.space->pt.root >> PAGE_SHIFT ||
	    word_state(page_word(pfn_to_page_in(s.mem, broken))) != PG_PGTABLE)
		broken++;
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

static struct pile hoard;       /* all free pages */
static void (*meanwhile)(void); /* called once, by another thread, which has memory */
static unsigned waits;          /* allocations that found no page */

static void take_all(void)
{
	drain_local_pages(s.mem, NULL);
	pile_alloc_last(s.mem, &hoard);
}

static struct page *wait_in_vain(struct memory *mem, gfp_t gfp, unsigned order)
{
	u32 in_alloc = port_task()->in_alloc;
	void (*others)(void) = meanwhile;

	waits++;
	meanwhile = NULL;
	if (others) {
		port_task()->in_alloc = 0;
		EXPECT_EQ(test, pile_free(mem, &hoard), 0);
		others();
		take_all();
		port_task()->in_alloc = in_alloc;
	}
	return NULL;
}

static void no_wish(struct memory *mem, gfp_t gfp, unsigned order)
{
}

static void no_wake(struct zone *zone)
{
}

/* @call returns @want; its first allocation fails, and meanwhile another thread does @others. */
#define IN_VAIN(t, others, call, want)                                                             \
	do {                                                                                       \
		static const struct reclaim_ops none_ = {                                          \
		    .wait = wait_in_vain, .wish = no_wish, .wake = no_wake};                       \
		const struct reclaim_ops *before_ = s.mem->reclaim;                                \
                                                                                                   \
		s.mem->reclaim = &none_;                                                           \
		meanwhile = NULL;                                                                  \
		take_all();                                                                        \
		meanwhile = (others);                                                              \
		waits = 0;                                                                         \
		EXPECT_EQ(t, (call), (want));                                                      \
		EXPECT(t, !meanwhile);                                                             \
		EXPECT_EQ(t, pile_free(s.mem, &hoard), 0);                                         \
		s.mem->reclaim = before_;                                                          \
	} while (0)

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
	IN_VAIN(t, link_tables, pt_prepare(&s.space->pt, page_at(5)), 0);
	IN_VAIN(t, prepare_far, object_prepare(s.object, 513, 0), 0);
	IN_VAIN(t, supply_it, vm_fault(s.space, page_at(5), VM_WRITE), 0);
	EXPECT(t, pte_at(s.space, page_at(5)));
	end(t);
	gets = 0;
	if (!begin(t, &counting))
		return;
	EXPECT_EQ(t, pt_prepare(&s.space->pt, page_at(5)), 0);
	IN_VAIN(t, supply_it, vm_fault(s.space, page_at(5), VM_READ), 0);
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
	gets = 0;
	if (!begin(t, &counting))
		return;
	EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_READ), 0);
	EXPECT_EQ(t, gets, 0);
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 600), 0);
	EXPECT_EQ(t, vm_map(s.space, VM_BASE, 600, VM_RW, s.object, 0), 0);
	IN_VAIN(t, NULL, vm_fault(s.space, page_at(1), VM_READ), 0);
	EXPECT_EQ(t, waits, 0);
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
