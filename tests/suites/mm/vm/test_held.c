/* SPDX-License-Identifier: MIT */
/*
 * test_held.c: while another CPU holds a lock, a call that needs the lock waits, and has not begun
 * to change what the lock guards.
 *
 * The other CPU releases the lock after a number of turns, unless the call ends before that: then
 * the call did not wait. The guarded data are read when the lock is taken and before it is
 * released.
 */
#include "tests/lib/mm_priv.h"
#include "tests/lib/add_help.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/request.h"
#include <quarry/account.h>
#include <quarry/contig.h>
#include <quarry/handle.h>
#include <quarry/oom.h>
#include <quarry/poison.h>

#define TURNS  (1u << 14)
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 8u : 32u) /* pageblocks of a zone */

/* ---- a lock held by another CPU ---- */

static void mutex_take(void *lock) NO_LOCK_ANALYSIS
{
	mutex_lock(lock);
}

static void mutex_drop(void *lock) NO_LOCK_ANALYSIS
{
	mutex_unlock(lock);
}

static void spin_take(void *lock) NO_LOCK_ANALYSIS
{
	spin_lock(lock);
}

static void spin_drop(void *lock) NO_LOCK_ANALYSIS
{
	spin_unlock(lock);
}

static void rounds_take(void *mem) NO_LOCK_ANALYSIS
{
	rounds_lock(mem);
}

static void rounds_drop(void *mem) NO_LOCK_ANALYSIS
{
	rounds_unlock(mem);
}

struct kind {
	void (*take)(void *lock), (*drop)(void *lock);
};
static const struct kind a_mutex = {mutex_take, mutex_drop}, a_spin = {spin_take, spin_drop},
                         the_rounds = {rounds_take, rounds_drop};

static struct held {
	const struct kind *kind;
	void *lock;
	u64 (*look)(void); /* reads data that the lock guards; NULL: none */
	u32 taken, ended;  /* atomic */
	bool early, changed;
} held;

static void hold(void *arg)
{
	u64 before;
	u32 turn;

	held.kind->take(held.lock);
	before = held.look ? held.look() : 0;
	store_release(&held.taken, 1u);
	for (turn = 0; turn < TURNS && !load_acquire(&held.ended); turn++)
		cpu_relax();
	held.early = load_acquire(&held.ended);
	held.changed = held.look && held.look() != before;
	held.kind->drop(held.lock);
}

static bool hold_begin(const struct kind *kind, void *lock, u64 (*look)(void))
{
	held = (struct held){.kind = kind, .lock = lock, .look = look};
	ktest_start(1, hold, NULL);
	return YIELD_UNTIL(load_acquire(&held.taken));
}

static void hold_end(struct ktest *t, const char *what, int line)
{
	store_release(&held.ended, 1u);
	ktest_join(1);
	if (held.early)
		ktest_fail(t, __FILE__, line, "%s did not wait", what);
	if (held.changed)
		ktest_fail(t, __FILE__, line, "%s began before it had the lock", what);
}

/* Expect @call to wait for @lock, and until then not to change the data that @look reads. */
#define WAITS(t, kind, lock, look, call)                                                           \
	do {                                                                                       \
		hold_begin(&(kind), (lock), (look));                                               \
		call;                                                                              \
		hold_end((t), #call, __LINE__);                                                    \
	} while (0)

/* As WAITS; @call must also return 0. */
#define OBEYS(t, kind, lock, look, call)                                                           \
	do {                                                                                       \
		int err_;                                                                          \
                                                                                                   \
		hold_begin(&(kind), (lock), (look));                                               \
		err_ = (call);                                                                     \
		hold_end((t), #call, __LINE__);                                                    \
		EXPECT_EQ(t, err_, 0);                                                             \
	} while (0)

/* ---- spaces ---- */

static struct vm_scene s;

static u64 look_regions(void)
{
	return READ_ONCE(s.space->nr_regions);
}

static u64 look_prot(void)
{
	return region_find(s.space, VM_BASE)->prot;
}

static u64 look_entry(void)
{
	return pte_at(s.space, VM_BASE);
}

static u64 look_free(void)
{
	return memory_free_pages(s.mem);
}

static u64 look_leaf(void)
{
	return object_slot(s.object, 0) != NULL;
}

static u64 look_table(void)
{
	return pt_entry(&s.space->pt, VM_BASE) != NULL;
}

KTEST_SUITE(held, KTEST_MOSTLY_INSIDE);

KTEST(space_changes_under_its_locks)
{
	if (!ktest_needs_cpus(t, 2) || !scene_begin(t, &s, 8))
		return;
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	OBEYS(t, a_mutex, &s.space->change, look_regions,
	    vm_map(s.space, page_at(20), 1, VM_RW, s.object, 0));
	OBEYS(t, a_spin, &s.space->lock, look_regions,
	    vm_map(s.space, page_at(22), 1, VM_RW, s.object, 0));
	OBEYS(t, a_spin, &s.object->lock, look_regions,
	    vm_map(s.space, page_at(24), 1, VM_RW, s.object, 0));
	EXPECT_EQ(t, s.space->nr_regions, 4);
	OBEYS(t, a_mutex, &s.space->change, look_regions, vm_unmap(s.space, page_at(20), 1));
	OBEYS(t, a_spin, &s.space->lock, look_regions, vm_unmap(s.space, page_at(22), 1));
	OBEYS(t, a_spin, &s.space->pt.lock, NULL, vm_unmap(s.space, page_at(24), 1));
	EXPECT_EQ(t, s.space->nr_regions, 1);
	/* These calls cut the region first, so a change shows in the number of regions. */
	OBEYS(t, a_mutex, &s.space->change, look_regions,
	    vm_protect(s.space, page_at(7), 1, VM_READ));
	OBEYS(t, a_spin, &s.space->lock, look_regions, vm_protect(s.space, page_at(6), 1, VM_READ));
	OBEYS(
	    t, a_spin, &s.object->lock, look_regions, vm_protect(s.space, page_at(5), 1, VM_READ));
	EXPECT_EQ(t, s.space->nr_regions, 4);
	/* A change that removes no access changes the region only. */
	OBEYS(t, a_spin, &s.space->lock, NULL, vm_protect(s.space, page_at(7), 1, VM_RW));
	OBEYS(t, a_spin, &s.object->lock, NULL, vm_protect(s.space, page_at(6), 1, VM_RW));
	OBEYS(t, a_spin, &s.space->lock, look_prot, vm_protect(s.space, page_at(0), 5, VM_READ));
	EXPECT_EQ(t, vm_protect(s.space, page_at(0), 5, VM_RW), 0);
	OBEYS(t, a_spin, &s.object->lock, look_prot, vm_protect(s.space, page_at(0), 5, VM_READ));
	EXPECT_EQ(t, vm_protect(s.space, page_at(0), 5, VM_RW), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	OBEYS(
	    t, a_spin, &s.space->pt.lock, look_entry, vm_protect(s.space, page_at(0), 5, VM_READ));
	WAITS(t, a_spin, &s.space->pt.lock, NULL,
	    vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL));
	WAITS(
	    t, a_spin, &s.space->lock, NULL, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL));
	OBEYS(t, a_spin, &s.object->lock, look_entry, vm_unmap(s.space, page_at(0), 5));
	scene_end(t, &s);
}

static void age(struct tlb_gather *g)
{
	spin_lock(&s.object->lock);
	rmap_age(s.object, 0, g);
	spin_unlock(&s.object->lock);
}

static void restore(struct page *page)
{
	spin_lock(&s.object->lock);
	rmap_restore(s.object, 0, pte_migration(page_to_pfn_in(s.mem, page)), page);
	spin_unlock(&s.object->lock);
}

KTEST(a_fault_takes_the_locks)
{
	struct tlb_gather g;
	struct page *page;

	if (!ktest_needs_cpus(t, 2) || !scene_begin(t, &s, 8))
		return;
	OBEYS(t, a_spin, &s.space->pt.lock, look_table, vm_fault(s.space, page_at(0), VM_READ));
	OBEYS(t, a_spin, &s.space->lock, look_free, vm_fault(s.space, page_at(1), VM_READ));
	OBEYS(t, a_spin, &s.object->lock, look_free, vm_fault(s.space, page_at(2), VM_READ));
	OBEYS(t, a_spin, &s.space->pt.lock, NULL, vm_fault(s.space, page_at(3), VM_READ));
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULT_NEW), 4);
	page = page_in(s.object, 0);
	tlb_gather_init(&g, s.mem);
	WAITS(t, a_spin, &s.space->pt.lock, look_entry, age(&g));
	tlb_flush(&g);
	WAITS(t, a_spin, &s.space->pt.lock, look_entry, restore(page));
	OBEYS(t, a_spin, &s.space->pt.lock, look_entry, vm_object_remove(s.object, 0, 1));
	OBEYS(t, a_spin, &s.object->lock, NULL, vm_object_remove(s.object, 1, 1));
	scene_end(t, &s);
}

KTEST(objects_and_spaces_are_listed_under_a_lock)
{
	struct vm_object *object = NULL;
	struct vm_space *space = NULL;
	struct page *page = NULL;

	if (!ktest_needs_cpus(t, 2) || !scene_begin(t, &s, 8))
		return;
	OBEYS(t, a_spin, &s.mem->vm.lock, NULL,
	    vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &object));
	REQUIRE(t, object);
	WAITS(t, a_spin, &s.mem->vm.lock, NULL, vm_object_put(object));
	OBEYS(t, a_spin, &s.mem->vm.lock, NULL, vm_space_create(s.mem, &space));
	REQUIRE(t, space);
	WAITS(t, a_spin, &s.mem->vm.lock, NULL, vm_space_put(space));
	OBEYS(t, a_spin, &s.object->lock, look_leaf, vm_object_supply(s.object, 0, NULL));
	WAITS(t, a_spin, &s.object->lock, NULL, vm_object_has(s.object, 0));
	WAITS(t, a_spin, &s.object->lock, NULL, vm_object_pages(s.object, ZONE_MOVABLE));
	WAITS(t, a_spin, &s.object->lock, NULL, vm_object_tables(s.object));
	OBEYS(t, a_spin, &s.object->lock, NULL, vm_object_pin(s.object, 0, &page));
	REQUIRE(t, page);
	mem_unpin_page(s.mem, page);
	scene_end(t, &s);
}

/* ---- lists of reclaim ---- */

KTEST(reclaim_examines_pages_under_their_locks)
{
	struct zone *zone;
	struct page *page;
	pfn_t pfn;

	if (!ktest_needs_cpus(t, 2) || !scene_begin_pager(t, &s, 4, &scene_pager, NULL))
		return;
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	page = NEED(t, page_in(s.object, 0));
	pfn = page_to_pfn_in(s.mem, page);
	zone = zone_of(s.mem, pfn);
	OBEYS(t, a_spin, &zone->lru_lock, NULL, isolate_lru_page(s.mem, pfn));
	WAITS(t, a_spin, &zone->lru_lock, NULL, putback_lru_page(s.mem, page));
	WAITS(t, a_spin, &zone->lru_lock, NULL, vm_object_put(lru_get_object(s.mem, page)));
	hold_begin(&a_spin, &s.object->lock, NULL);
	{
		struct lru_scan scan = {.zone = zone, .batch = 1, .direct = true};

		reclaim_batch(&scan);
		hold_end(t, "reclaim_batch", __LINE__);
		EXPECT_EQ(t, scan.freed, 1);
	}
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	OBEYS(t, a_spin, &zone->lru_lock, NULL, vm_object_remove(s.object, 0, 1));
	scene_end(t, &s);
}

/* ---- the memory itself ---- */

static bool nobody(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	return false;
}

/* The hook and its argument belong together: a decision under way calls the one with the other. */
static u64 look_hook(void)
{
	const struct oom_state *oom = container_of(held.lock, struct oom_state, lock);

	return (uintptr_t)READ_ONCE(oom->kill) ^ (uintptr_t)READ_ONCE(oom->arg);
}

KTEST(changes_of_a_memory_exclude_each_other)
{
	struct memory *mem = ktest_memory(t, 0, BLOCKS, BLOCKS);
	pfn_t last = (2 * BLOCKS - 1) * (pfn_t)PAGEBLOCK_PAGES;
	struct range_claim claim = {.range = {last, last + PAGEBLOCK_PAGES}};
	struct mm_violation v;
	struct request q = {.mem = mem, .gfp = GFP_KERNEL};
	struct page *page;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mem);
	OBEYS(t, the_rounds, mem, NULL, check_memory(mem, &v));
	WAITS(t, the_rounds, mem, NULL, pcp_zones_changed(mem));
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	REQUIRE(t, page && !mem_free_pages(mem, page, 0));
	OBEYS(t, a_mutex, &mem->pcp_ctl, NULL, drain_all_pages(mem, NULL));
	WAITS(
	    t, a_mutex, &mem->hotplug, NULL, EXPECT(t, enough_left(mem, block_range(last), NULL)));
	OBEYS(t, a_mutex, &mem->hotplug, NULL, range_claim(mem, &claim));
	WAITS(t, a_mutex, &mem->hotplug, NULL, range_unclaim(mem, &claim));
	OBEYS(t, a_mutex, &mem->poison, NULL, mem_memory_failure(mem, last, 0, NULL));
	OBEYS(t, a_mutex, &mem->poison, NULL, mem_unpoison_page(mem, last));
	WAITS(t, a_mutex, &mem->oom.lock, look_hook, memory_set_oom(mem, nobody, NULL));
	WAITS(t, a_mutex, &mem->oom.lock, look_hook, memory_set_oom(mem, nobody, mem));
	oom_begin(&q);
	WAITS(t, a_mutex, &mem->oom.lock, NULL, EXPECT(t, oom_alloc(&q) == GOT_IT));
	EXPECT_EQ(t, mem_free_pages(mem, q.page, 0), 0);
	WAITS(t, a_mutex, &mem->adding, NULL,
	    EXPECT_EQ(t, add_memory(mem, last, PAGEBLOCK_PAGES, 0), -EEXIST));
	WAITS(t, a_mutex, &mem->adding, NULL,
	    EXPECT_EQ(t, remove_memory(mem, last, PAGEBLOCK_PAGES), -EBUSY));
	WAITS(t, a_mutex, &mem->hotplug, NULL,
	    EXPECT_EQ(t, offline_query(mem, last, PAGEBLOCK_PAGES, NULL), 0));
}

static struct memory *larger;

static u64 look_span(void)
{
	return READ_ONCE(larger->zones[ZONE_MOVABLE].end_pfn);
}

/* add_memory calls this between the claim and the growth of the span. */
static int map_and_hold(struct memory *mem, pfn_t start, unsigned long nr)
{
	hold_begin(&a_mutex, &mem->hotplug, look_span);
	return test_map(mem, start, nr);
}

KTEST(a_span_grows_under_a_lock)
{
	static const struct memory_arrays holding = {
	    .map = map_and_hold, .unmap = test_unmap, .grow = test_grow, .shrink = test_shrink};

	if (!ktest_needs_cpus(t, 2))
		return;
	larger = NEED(t, one_node(t));
	larger->arrays = &holding;
	EXPECT_EQ(t, add_memory(larger, START + BLOCK(2 * SIZE), BLOCK(1), 0), 0);
	hold_end(t, "add_memory", __LINE__);
	drop_memory(t, larger);
}

KTEST(memories_are_listed_under_a_lock)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, 2}};
	struct memory *mem = NULL;

	if (!ktest_needs_cpus(t, 2))
		return;
	WAITS(t, a_spin, &memories_lock, NULL, mem = build_memory(t, 1, NULL, specs, 1));
	REQUIRE(t, mem);
	WAITS(t, a_spin, &memories_lock, NULL, drop_memory(t, mem));
}

/* ---- movable pages ---- */

static u64 look_movable(void)
{
	return (uintptr_t)READ_ONCE(mov.pages[0]->owner) ^ page_word(mov.pages[0]);
}

static u64 look_users(void)
{
	return READ_ONCE(mov.owner.users);
}

KTEST(movable_pages_change_under_the_lock_of_the_lists)
{
	struct memory *mem = ktest_memory(t, 0, 0, BLOCKS);
	struct zone *zone;
	struct page *page;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mov_begin(t, mem));
	zone = &mem->zones[ZONE_MOVABLE];
	page = mov.pages[0] = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	REQUIRE(t, page);
	WAITS(t, a_spin, &zone->lru_lock, look_movable, make_movable(mem, page, &mov.owner, 0));
	OBEYS(t, a_spin, &zone->lru_lock, look_movable,
	    isolate_movable_page(mem, page_to_pfn_in(mem, page)));
	WAITS(t, a_spin, &zone->lru_lock, look_movable, putback_movable_page(mem, page));
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), 0);
	OBEYS(t, a_spin, &zone->lru_lock, look_users, (int)migrate_pages(mem, &page, 1, NULL));
	EXPECT_EQ(t, mov.moved, 1);
	page = mov.pages[0];
	WAITS(t, a_spin, &zone->lru_lock, look_movable, page_release_movable(mem, page));
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(an_area_has_one_user_at_a_time)
{
	static struct cma cma;
	struct memory *mem = ktest_memory(t, 0, BLOCKS, 0);
	struct page *page;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, mem && !cma_create(&cma, "test", mem, PAGEBLOCK_PAGES, PAGEBLOCK_PAGES));
	OBEYS(t, a_mutex, &cma.lock, NULL, cma_alloc(&cma, 1, 0, &page));
	EXPECT_EQ(t, cma.nr_used, 1);
	OBEYS(t, a_mutex, &cma.lock, NULL, cma_free(&cma, page, 1));
	EXPECT_EQ(t, cma.nr_used, 0);
	OBEYS(t, a_mutex, &cma.lock, NULL, cma_destroy(&cma));
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}

KTEST(a_handle_has_a_lock)
{
	struct memory *mem = ktest_backed_memory(t, VM_NORMAL, VM_MOVABLE);
	struct handle handles[1] = {{.page = NULL}};
	struct handle_table table;

	if (!ktest_needs_cpus(t, 2) || !mem)
		return;
	handle_table_init(&table, mem, handles, 1);
	EXPECT_EQ(t, handle_alloc(&table, 0, 0, GFP_NOWAIT, 7), 0);
	OBEYS(t, a_spin, &handles[0].lock, NULL, handle_verify(&table, 0));
	OBEYS(t, a_spin, &handles[0].lock, NULL, handle_write(&table, 0, 8));
	WAITS(t, a_spin, &handles[0].lock, NULL, EXPECT(t, handle_pfn(&table, 0) != PFN_NONE));
	OBEYS(t, a_spin, &handles[0].lock, NULL, handle_pin(&table, 0));
	OBEYS(t, a_spin, &handles[0].lock, NULL, handle_unpin(&table, 0));
	OBEYS(t, a_spin, &handles[0].lock, NULL, handle_free(&table, 0));
	movable_owner_drain(&table.owner);
}
