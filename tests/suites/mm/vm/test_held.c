/* SPDX-License-Identifier: MIT */
/*
 * test_held.c: while another CPU holds a lock, a call that needs the lock waits, and has not begun
 * to change what the lock guards.
 *
 * The other CPU releases the lock after a number of turns, unless the call ends before that: then
 * the call did not wait. The guarded data are read when the lock is taken and before it is
 * released.  The locks of objects and spaces are in test_vm_guard.c.
 */
#include "tests/lib/mm_priv.h"
#include "tests/lib/add_help.h"
#include "tests/lib/mov_help.h"
#include "tests/lib/wait_help.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/request.h"
#include <quarry/contig.h>
#include <quarry/handle.h>
#include <quarry/oom.h>
#include <quarry/poison.h>

#define TURNS  (1u << 14)
#define BLOCKS (PAGEBLOCK_ORDER >= 9 ? 8u : 32u) /* pageblocks of a zone */

/* ---- a lock held by another CPU ---- */

enum kind { A_MUTEX, A_SPIN, THE_ROUNDS };

static struct held {
	enum kind kind;
	void *lock;
	u64 (*look)(void); /* reads data that the lock guards; NULL: none */
	u32 taken, ended;  /* atomic */
	bool early, changed;
} held;

static void take(void) NO_LOCK_ANALYSIS
{
	switch (held.kind) {
	case A_MUTEX: mutex_lock(held.lock); break;
	case A_SPIN: spin_lock(held.lock); break;
	case THE_ROUNDS: rounds_lock(held.lock); break;
	}
}

static void drop(void) NO_LOCK_ANALYSIS
{
	switch (held.kind) {
	case A_MUTEX: mutex_unlock(held.lock); break;
	case A_SPIN: spin_unlock(held.lock); break;
	case THE_ROUNDS: rounds_unlock(held.lock); break;
	}
}

static void hold(void *arg)
{
	u64 before;
	u32 turn;

	take();
	before = held.look ? held.look() : 0;
	store_release(&held.taken, 1u);
	for (turn = 0; turn < TURNS && !load_acquire(&held.ended); turn++)
		cpu_relax();
	held.early = load_acquire(&held.ended);
	held.changed = held.look && held.look() != before;
	drop();
}

static bool hold_begin(enum kind kind, void *lock, u64 (*look)(void))
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
		hold_begin((kind), (lock), (look));                                                \
		call;                                                                              \
		hold_end((t), #call, __LINE__);                                                    \
	} while (0)

/* As WAITS; @call must also return 0. */
#define OBEYS(t, kind, lock, look, call) WAITS(t, kind, lock, look, EXPECT_EQ(t, (call), 0))

KTEST_SUITE(held, KTEST_MOSTLY_INSIDE);

/* ---- lists of reclaim ---- */

KTEST(reclaim_examines_pages_under_their_locks)
{
	struct vm_scene s;
	struct zone *zone;
	struct page *page;
	pfn_t pfn;

	if (!ktest_needs_cpus(t, 2) || !scene_begin_pager(t, &s, 4, &scene_pager, NULL))
		return;
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	page = NEED(t, page_in(s.object, 0));
	pfn = page_to_pfn_in(s.mem, page);
	zone = zone_of(s.mem, pfn);
	OBEYS(t, A_SPIN, &zone->lru_lock, NULL, isolate_lru_page(s.mem, pfn));
	WAITS(t, A_SPIN, &zone->lru_lock, NULL, putback_lru_page(s.mem, page));
	WAITS(t, A_SPIN, &zone->lru_lock, NULL, vm_object_put(lru_get_object(s.mem, page)));
	hold_begin(A_SPIN, &s.object->lock, NULL);
	{
		struct lru_scan scan = {.zone = zone, .batch = 1, .direct = true};

		reclaim_batch(&scan);
		hold_end(t, "reclaim_batch", __LINE__);
		EXPECT_EQ(t, scan.freed, 1);
	}
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	OBEYS(t, A_SPIN, &zone->lru_lock, NULL, vm_object_remove(s.object, 0, 1));
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
	OBEYS(t, THE_ROUNDS, mem, NULL, check_memory(mem, &v));
	WAITS(t, THE_ROUNDS, mem, NULL, pcp_zones_changed(mem));
	page = mem_alloc_pages(mem, GFP_KERNEL, 0);
	REQUIRE(t, page && !mem_free_pages(mem, page, 0));
	OBEYS(t, A_MUTEX, &mem->pcp_ctl, NULL, drain_all_pages(mem, NULL));
	WAITS(
	    t, A_MUTEX, &mem->hotplug, NULL, EXPECT(t, enough_left(mem, block_range(last), NULL)));
	OBEYS(t, A_MUTEX, &mem->hotplug, NULL, range_claim(mem, &claim));
	WAITS(t, A_MUTEX, &mem->hotplug, NULL, range_unclaim(mem, &claim));
	OBEYS(t, A_MUTEX, &mem->poison, NULL, mem_memory_failure(mem, last, 0, NULL));
	OBEYS(t, A_MUTEX, &mem->poison, NULL, mem_unpoison_page(mem, last));
	WAITS(t, A_MUTEX, &mem->oom.lock, look_hook, memory_set_oom(mem, nobody, NULL));
	WAITS(t, A_MUTEX, &mem->oom.lock, look_hook, memory_set_oom(mem, nobody, mem));
	oom_begin(&q);
	WAITS(t, A_MUTEX, &mem->oom.lock, NULL, EXPECT(t, oom_alloc(&q) == GOT_IT));
	EXPECT_EQ(t, mem_free_pages(mem, q.page, 0), 0);
	WAITS(t, A_MUTEX, &mem->adding, NULL,
	    EXPECT_EQ(t, add_memory(mem, last, PAGEBLOCK_PAGES, 0), -EEXIST));
	WAITS(t, A_MUTEX, &mem->adding, NULL,
	    EXPECT_EQ(t, remove_memory(mem, last, PAGEBLOCK_PAGES), -EBUSY));
	WAITS(t, A_MUTEX, &mem->hotplug, NULL,
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
	hold_begin(A_MUTEX, &mem->hotplug, look_span);
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
	WAITS(t, A_SPIN, &memories_lock, NULL, mem = build_memory(t, 1, NULL, specs, 1));
	REQUIRE(t, mem);
	WAITS(t, A_SPIN, &memories_lock, NULL, drop_memory(t, mem));
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
	WAITS(t, A_SPIN, &zone->lru_lock, look_movable, make_movable(mem, page, &mov.owner, 0));
	OBEYS(t, A_SPIN, &zone->lru_lock, look_movable,
	    isolate_movable_page(mem, page_to_pfn_in(mem, page)));
	WAITS(t, A_SPIN, &zone->lru_lock, look_movable, putback_movable_page(mem, page));
	EXPECT_EQ(t, isolate_movable_page(mem, page_to_pfn_in(mem, page)), 0);
	OBEYS(t, A_SPIN, &zone->lru_lock, look_users, (int)migrate_pages(mem, &page, 1, NULL));
	EXPECT_EQ(t, mov.moved, 1);
	page = mov.pages[0];
	WAITS(t, A_SPIN, &zone->lru_lock, look_movable, page_release_movable(mem, page));
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
	OBEYS(t, A_MUTEX, &cma.lock, NULL, cma_alloc(&cma, 1, 0, &page));
	EXPECT_EQ(t, cma.nr_used, 1);
	OBEYS(t, A_MUTEX, &cma.lock, NULL, cma_free(&cma, page, 1));
	EXPECT_EQ(t, cma.nr_used, 0);
	OBEYS(t, A_MUTEX, &cma.lock, NULL, cma_destroy(&cma));
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
	OBEYS(t, A_SPIN, &handles[0].lock, NULL, handle_verify(&table, 0));
	OBEYS(t, A_SPIN, &handles[0].lock, NULL, handle_write(&table, 0, 8));
	WAITS(t, A_SPIN, &handles[0].lock, NULL, EXPECT(t, handle_pfn(&table, 0) != PFN_NONE));
	OBEYS(t, A_SPIN, &handles[0].lock, NULL, handle_pin(&table, 0));
	OBEYS(t, A_SPIN, &handles[0].lock, NULL, handle_unpin(&table, 0));
	OBEYS(t, A_SPIN, &handles[0].lock, NULL, handle_free(&table, 0));
	movable_owner_drain(&table.owner);
}
