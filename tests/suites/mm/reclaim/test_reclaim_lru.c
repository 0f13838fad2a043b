/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_lru.c: which pages reclaim drops, by which steps, and which pages it leaves alone.
 * The test makes the batches itself; the reclaim thread does nothing.
 */
#include "tests/lib/pager_help.h"

static struct store store;
static struct vm_scene s;

/* Reclaim one batch. Returns the number of pages freed. */
static unsigned long one_batch(struct memory *mem)
{
	struct lru_scan scan = {.zone = movable_zone(mem), .batch = RECLAIM_BATCH};

	reclaim_batch(&scan);
	return scan.freed;
}

/* Make a scene whose space is loaded on this CPU. */
static bool begin(struct ktest *t, unsigned nr)
{
	return store_scene_loaded(t, &s, &store, nr);
}

static void end(struct ktest *t)
{
	store_scene_unload(t, &s, &store);
}

/* Read all pages, so that they are present, mapped and clean. */
static void bring_in(struct ktest *t)
{
	read_pages(t, 0, s.nr);
	EXPECT(t, pages_there(&s, s.nr));
}

KTEST_SUITE(reclaim_lru, KTEST_QUICK);

KTEST(clean_pages_are_dropped_and_brought_back, KTEST_SLOW)
{
	struct lru_scan scan = {.direct = false};
	unsigned long free;
	u64 value = 0;
	unsigned i;

	if (!begin(t, 32))
		return;
	for (i = 0; i < 32; i++)
		*(u64 *)page_address(store.page[i]) = stamp(i, 0, t->seed);
	bring_in(t);
	free = memory_free_pages(s.mem);
	/* The pages were touched: the first scan makes them active, the next finds them idle. */
	EXPECT_EQ(t, one_batch(s.mem), 0);
	EXPECT_EQ(t, vm_object_present(s.object), 32);
	EXPECT_EQ(t, movable_zone(s.mem)->lru[LRU_ACTIVE].nr, 32);
	EXPECT_EQ(t, scan_once(s.mem, &scan), 32);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	EXPECT_EQ(t, memory_free_pages(s.mem), free + 32);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_FREED), 32);
	EXPECT_EQ(t, store.cleans, 0);
	for (i = 0; i < 32; i++) {
		EXPECT_EQ(t, pte_at(s.space, page_at(i)), 0);
		EXPECT_EQ(t, soft_try_write(page_at(i), 1), -EFAULT);
	}
	EXPECT_EQ(t, store.gets, 32);
	for (i = 0; i < 32; i++) {
		EXPECT_EQ(t, soft_read(page_at(i), &value), 0);
		EXPECT_EQ(t, value, stamp(i, 0, t->seed));
	}
	EXPECT_EQ(t, store.gets, 64);
	end(t);
}

/* Every byte that went to the pager comes back. */
KTEST(dirty_pages_survive_byte_for_byte)
{
	struct lru_scan scan = {.desperate = true};
	unsigned i, word;
	u64 value;

	if (!begin(t, 10))
		return;
	for (i = 0; i < 10; i++)
		for (word = 0; word < 512; word++)
			EXPECT_EQ(t, soft_write(page_at(i) + word * 8, stamp(i, word, t->seed)), 0);
	EXPECT_EQ(t, scan_once(s.mem, &scan), 10);
	EXPECT_EQ(t, store.cleans, 10);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_CLEANED), 10);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(t, store.cleaned[i], 1);
		for (word = 0; word < 512; word++) {
			EXPECT_EQ(t, soft_read(page_at(i) + word * 8, &value), 0);
			EXPECT_EQ(t, value, stamp(i, word, t->seed));
		}
	}
	/* After the pages came back they were only read, so the pager still has their content. */
	EXPECT_EQ(t, scan_once(s.mem, &scan), 10);
	EXPECT_EQ(t, store.cleans, 10);
	end(t);
}

static void expect_refused(struct ktest *t, int answer)
{
	struct lru_scan scan = {.desperate = true};
	u32 cleans = store.cleans;
	unsigned i;

	store.answer = answer;
	EXPECT_EQ(t, scan_once(s.mem, &scan), 0);
	/* The pager is called only once in this run. */
	EXPECT_EQ(t, store.cleans, cleans + 1);
	EXPECT_EQ(t, vm_object_present(s.object), s.nr);
	for (i = 0; i < s.nr; i++) {
		struct page *page = page_in(s.object, i);

		EXPECT(t, page);
		if (!page)
			continue;
		EXPECT_EQ(t, word_state(page_word(page)), PG_LRU);
		EXPECT_EQ(t, word_ref(page_word(page)), 2);
		EXPECT_EQ(t, page->mapcount, 1);
		EXPECT(t, !(page_word(page) & PAGE_LOCKED));
	}
	expect_sound(t, s.mem);
}

KTEST(a_pager_that_refuses_loses_nothing, KTEST_SLOW)
{
	struct lru_scan scan = {.desperate = true};

	if (!begin(t, 20))
		return;
	write_pages(t, 0, 20, 3);
	expect_refused(t, -EIO);
	expect_refused(t, -ETIMEDOUT);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_REFUSED), 2);
	EXPECT(t, s.object->refused != 0);
	/* The pages are mapped as before, so reads cause no fault. */
	EXPECT_EQ(t, store.gets, 20);
	expect_pages(t, 0, 20, 3);
	EXPECT_EQ(t, store.gets, 20);
	store.answer = 0;
	scan_once(s.mem, &scan);
	EXPECT_EQ(t, scan.freed + scan_once(s.mem, &scan) + scan_once(s.mem, &scan) > 0, true);
	EXPECT_EQ(t, s.object->refused, 0);
	expect_pages(t, 0, 20, 3);
	end(t);
}

KTEST(dirty_pages_stay_without_a_clean_operation)
{
	struct lru_scan scan = {.desperate = true};

	if (!scene_begin_pager(t, &s, 6, &scene_pager, NULL))
		return;
	soft_load_space(s.space);
	write_pages(t, 0, 3, 7);
	read_pages(t, 3, 5);
	EXPECT_EQ(t, scan_once(s.mem, &scan), 2);
	EXPECT_EQ(t, vm_object_present(s.object), 3);
	/* The dirty pages are active now: later scans do not meet them. */
	EXPECT_EQ(t, movable_zone(s.mem)->lru[LRU_ACTIVE].nr, 3);
	expect_pages(t, 0, 3, 7);
	soft_unload_space();
	scene_end(t, &s);
}

/* A page stays if it is touched between two scans, though its entry never left the TLB. */
KTEST(idle_pages_are_dropped_and_touched_ones_kept)
{
	unsigned round, i;
	u64 value;

	if (!begin(t, 60))
		return;
	bring_in(t);
	for (round = 0; round < 20; round++) {
		one_batch(s.mem);
		for (i = 0; i < 60; i += 4)
			EXPECT_EQ(t, soft_read(page_at(i), &value), 0);
	}
	for (i = 0; i < 60; i++)
		EXPECT_EQ(t, page_in(s.object, i) != NULL, i % 4 == 0);
	/* No page that stayed was dropped in between. */
	EXPECT_EQ(t, store.gets, 60);
	EXPECT(t, mm_event_sum(s.mem, EV_RECLAIM_KEPT) >= 60);
	/* A desperate scan gives no second chance. */
	for (round = 0; round < 3; round++) {
		struct lru_scan scan = {.desperate = true};

		scan_once(s.mem, &scan);
	}
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	end(t);
}

KTEST(active_pages_age, KTEST_SLOW)
{
	struct lru_list *lru;
	unsigned i;

	if (!begin(t, 30))
		return;
	lru = movable_zone(s.mem)->lru;
	bring_in(t);
	EXPECT_EQ(t, one_batch(s.mem), 0);
	EXPECT_EQ(t, lru[LRU_ACTIVE].nr, 30);
	read_pages(t, 0, 10);
	/*
	 * The batch scans the active list: the ten touched pages stay, and the others become
	 * inactive and are dropped.
	 */
	EXPECT_EQ(t, one_batch(s.mem), 20);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_AGED), 20);
	EXPECT_EQ(t, lru[LRU_ACTIVE].nr, 10);
	EXPECT_EQ(t, lru[LRU_INACTIVE].nr, 0);
	for (i = 0; i < 10; i++)
		EXPECT(t, page_in(s.object, i));
	end(t);
}

/* Reclaim does not wait for a thread that walks the regions: it may not run for long. */
KTEST(active_pages_of_a_walked_object_do_not_age)
{
	const struct lru_list *lru;

	if (!begin(t, 30))
		return;
	lru = movable_zone(s.mem)->lru;
	bring_in(t);
	EXPECT_EQ(t, one_batch(s.mem), 0);
	WRITE_ONCE(s.object->walked, 31u);
	EXPECT_EQ(t, one_batch(s.mem), 0);
	WRITE_ONCE(s.object->walked, 0u);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_AGED), 0);
	EXPECT_EQ(t, lru[LRU_ACTIVE].nr, 30);
	end(t);
}

KTEST(pages_in_use_are_not_reclaimed)
{
	struct lru_scan scan = {.desperate = true};
	struct page *pinned, *held, *locked;
	struct vm_object *anon, *phys;
	unsigned i;

	if (!begin(t, 4))
		return;
	REQUIRE_OR_END(t, !vm_object_create(s.mem, OBJ_ANON, 3, NULL, NULL, &anon));
	REQUIRE_OR_END(t, !vm_object_create(s.mem, OBJ_PHYS, 3, NULL, NULL, &phys));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, vm_object_supply(anon, i, NULL) + vm_object_supply(phys, i, NULL), 0);
	bring_in(t);
	REQUIRE_OR_END(t, pages_there(&s, 4));
	REQUIRE(t, vm_object_pin(s.object, 0, &pinned) == 0);
	held = page_in(s.object, 1);
	EXPECT_EQ(t, get_page(held), 0);
	locked = page_in(s.object, 2);
	EXPECT(t, page_trylock(locked));
	EXPECT_EQ(t, scan_once(s.mem, &scan), 1);
	EXPECT_EQ(t, scan_once(s.mem, &scan), 0);
	EXPECT_EQ(t, vm_object_present(s.object), 3);
	EXPECT_EQ(t, vm_object_present(anon) + vm_object_present(phys), 6);
	EXPECT_EQ(t, page_in(s.object, 0) == pinned && page_in(s.object, 1) == held, true);
	/* The pages are still mapped, or mapped again. */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, soft_try_write(page_at(i), stamp(i, 0, 1)), 0);
	EXPECT_EQ(t, mem_put_page(s.mem, held), 0);
	mem_unpin_page(s.mem, pinned);
	page_clear_flags(locked, PAGE_LOCKED);
	for (i = 0; i < 3; i++)
		scan_once(s.mem, &scan);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	vm_object_put(anon);
	vm_object_put(phys);
	end(t);
}

KTEST_COST(a_batch_makes_one_shootdown, KTEST_SLOW)
{
	struct lru_scan scan = {.desperate = true};
	u64 rounds;

	if (!begin(t, RECLAIM_BATCH))
		return;
	write_pages(t, 0, RECLAIM_BATCH, 1);
	rounds = mm_event_sum(s.mem, EV_TLB_ROUNDS);
	EXPECT_EQ(t, scan_once(s.mem, &scan), RECLAIM_BATCH);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_TLB_ROUNDS), rounds + 1);
	expect_pages(t, 0, RECLAIM_BATCH, 1);
	end(t);
}

/* ---- pagers and memory ---- */

static unsigned long free_in_get;

static int get_and_look(struct vm_object *object, u32 index)
{
	free_in_get = memory_free_pages(object->mem);
	return store_get(object, index);
}

KTEST(pager_never_waits_for_memory)
{
	struct pile pile = {NULL, 0};
	u64 waits;

	if (!begin(t, 2))
		return;
	EXPECT_EQ(t, object_prepare(s.object, 1, 0), 0);
	pile_alloc(s.mem, &pile, GFP_MOVABLE | GFP_ATOMIC, 0, ALL_THERE_IS);
	pile_alloc(s.mem, &pile, GFP_KERNEL | GFP_ATOMIC, 0, ALL_THERE_IS);
	waits = mm_event_sum(s.mem, EV_RECLAIM_WAIT) + mm_event_sum(s.mem, EV_ALLOC_DRAIN_WAIT);
	EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), -ENOMEM);
	EXPECT_EQ(t,
	    mm_event_sum(s.mem, EV_RECLAIM_WAIT) + mm_event_sum(s.mem, EV_ALLOC_DRAIN_WAIT), waits);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), 0);
	end(t);
}

KTEST(fault_reclaims_memory_and_keeps_none, KTEST_SLOW)
{
	static const struct vm_pager_ops ops = {.get = get_and_look};
	struct pile pile = {NULL, 0};
	unsigned long free;
	u64 value = 1;

	if (!store_scene_by(t, &s, &store, 4, &ops))
		return;
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(0), &value), 0);
	free = memory_free_pages(s.mem);
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	/* While the pager was called, the fault held no page that would block an offline. */
	EXPECT_EQ(t, free_in_get, free);
	EXPECT_EQ(t, memory_free_pages(s.mem), free - 1);
	/* No page can be reclaimed, so the pager is not called. */
	REQUIRE_OR_END(t, !vm_object_pin(s.object, 0, &(struct page *){NULL}));
	REQUIRE_OR_END(t, !vm_object_pin(s.object, 1, &(struct page *){NULL}));
	pile_alloc(s.mem, &pile, GFP_MOVABLE | GFP_ATOMIC, 0, ALL_THERE_IS);
	pile_alloc(s.mem, &pile, GFP_KERNEL | GFP_ATOMIC, 0, ALL_THERE_IS);
	EXPECT_EQ(t, soft_read(page_at(2), &value), -ENOMEM);
	EXPECT_EQ(t, store.gets, 2);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	mem_unpin_page(s.mem, page_in(s.object, 0));
	mem_unpin_page(s.mem, page_in(s.object, 1));
	EXPECT_EQ(t, soft_read(page_at(2), &value), 0);
	soft_unload_space();
	scene_end(t, &s);
	store_end(&store);
}

KTEST(resident_pages_are_counted, KTEST_SLOW)
{
	if (!begin(t, 30))
		return;
	EXPECT_EQ(t, vm_map(s.space, page_at(5000), 30, VM_READ, s.object, 0), 0);
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 0);
	read_pages(t, 0, 20);
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 20);
	read_pages(t, 5000, 5005);
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 25);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(0), 10), 0);
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 15);
	end(t);
}

/*
 * A pass walks for the pages of an object with many mappings only while they are a small part of
 * its budget.  The object's count of them is all that it reads.
 */
KTEST(pages_with_too_many_mappings_stay)
{
	const u32 most = PASS_MAPPINGS / PASS_SHARE;
	struct lru_scan scan = {.desperate = true}, patient = {.run = 0};
	u32 own, i;
	u64 aged;

	if (!begin(t, 8))
		return;
	bring_in(t);
	own = s.object->nr_regions;
	s.object->nr_regions = most + 1;
	EXPECT_EQ(t, scan_once(s.mem, &scan), 0);
	EXPECT_EQ(t, scan.walked, 0);
	aged = mm_event_sum(s.mem, EV_RECLAIM_AGED);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(t, scan_once(s.mem, &patient), 0);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_RECLAIM_AGED), aged);
	/* A page that is not mapped needs no walk. */
	EXPECT_EQ(t, vm_unmap(s.space, page_at(7), 1), 0);
	EXPECT_EQ(t, scan_once(s.mem, &scan), 1);
	EXPECT_EQ(t, scan.walked, 0);
	/* One mapping less: the first page uses up what the second one would need. */
	s.object->nr_regions = most;
	EXPECT_EQ(t, scan_once(s.mem, &scan), 1);
	EXPECT_EQ(t, scan.walked, most);
	/* Few mappings are no cost. */
	s.object->nr_regions = FREE_MAPPINGS;
	scan.walked = PASS_MAPPINGS;
	EXPECT_EQ(t, scan_once(s.mem, &scan), 6);
	s.object->nr_regions = own;
	end(t);
}
