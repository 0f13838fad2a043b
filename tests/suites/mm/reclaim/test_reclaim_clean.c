/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim_clean.c: other threads touch, remove or unmap a page before or while its content is
 * written to its pager; and how often a run calls a pager that refuses.
 */
#include "mm/reclaim/reclaim.h"
#include "tests/lib/pager_help.h"
#include "tests/lib/wait_help.h"

static struct store store;
static struct vm_scene s;

/* Make a scene whose space is loaded on this CPU. */
static bool begin(struct ktest *t, unsigned nr)
{
	return store_scene_loaded(t, &s, &store, nr);
}

static void end(struct ktest *t)
{
	store_scene_unload(t, &s, &store);
}

/* Set if a step of another thread failed. */
static u32 failed;

static void touch_first(void *arg)
{
	soft_load_space(s.space);
	if (soft_write(page_at(0), 77))
		WRITE_ONCE(failed, 1);
	soft_unload_space();
}

/* Another CPU writes to the page, and must wait until the pager has taken the page. */
static void touch_elsewhere(struct store *st, struct vm_object *object, u32 index)
{
	if (index != 0)
		return;
	ktest_start(1, touch_first, NULL);
	YIELD_UNTIL(migwait_waiting(object->mem));
}

KTEST_SUITE(reclaim_clean, KTEST_QUICK);

KTEST(access_to_a_page_being_cleaned_waits)
{
	struct lru_scan scan = {.desperate = true};
	u64 value = 0;

	if (!ktest_needs_cpus(t, 2) || !begin(t, 2))
		return;
	write_pages(t, 0, 2, 5);
	REQUIRE_OR_END(t, pages_there(&s, 2));
	failed = 0;
	store.meanwhile = touch_elsewhere;
	EXPECT_EQ(t, scan_once(s.mem, &scan), 2);
	ktest_join(1);
	EXPECT_EQ(t, READ_ONCE(failed), 0);
	store.meanwhile = NULL;
	EXPECT(t, mm_event_sum(s.mem, EV_MIGWAIT_QUEUED) > 0);
	/* The pager has the old content, the page has the new. */
	EXPECT_EQ(t, *(u64 *)page_address(store.page[0]), stamp(0, 0, 5));
	EXPECT_EQ(t, soft_read(page_at(0), &value), 0);
	EXPECT_EQ(t, value, 77);
	end(t);
}

static void remove_it(struct store *st, struct vm_object *object, u32 index)
{
	if (vm_object_remove(object, index, 1))
		failed = 1;
}

static void supply_anew(struct store *st, struct vm_object *object, u32 index)
{
	remove_it(st, object, index);
	if (vm_object_supply(object, index, NULL))
		failed = 1;
}

KTEST(a_page_removed_while_it_is_cleaned_is_freed_once, KTEST_SLOW)
{
	static void (*const meanwhile[])(struct store *, struct vm_object *, u32) = {
	    remove_it, supply_anew};
	static const int answers[] = {0, -EIO};
	unsigned long free;
	unsigned i, j;
	u64 value;

	if (!begin(t, 2))
		return;
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	free = memory_free_pages(s.mem);
	failed = 0;
	for (i = 0; i < 2; i++) {
		for (j = 0; j < 2; j++) {
			struct lru_scan scan = {.desperate = true};

			store.meanwhile = NULL;
			write_pages(t, 0, 1, 6);
			store.meanwhile = meanwhile[i];
			store.answer = answers[j];
			scan_once(s.mem, &scan);
			/* Page 1 was clean, so it was dropped. */
			EXPECT_EQ(t, vm_object_present(s.object), i);
			EXPECT_EQ(t, memory_free_pages(s.mem), free + 1 - i);
			EXPECT_EQ(t, pte_at(s.space, page_at(0)), 0);
			expect_sound(t, s.mem);
			EXPECT_EQ(t, vm_object_remove(s.object, 0, 2), 0);
			EXPECT_EQ(t, memory_free_pages(s.mem), free + 1);
			EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
		}
	}
	store.meanwhile = NULL;
	EXPECT_EQ(t, failed, 0);
	end(t);
}

static u64 told[2]; /* what waiting allocations know to be freed when each page is cleaned */

static void note_told(struct store *st, struct vm_object *object, u32 index)
{
	told[index] = READ_ONCE(movable_zone(object->mem)->freed);
	thread_sleep(10000000);
}

/* The page that needs no pager is the youngest one. */
KTEST(freed_pages_do_not_wait_for_pagers_of_other_pages, KTEST_SLOW)
{
	struct lru_scan scan = {.desperate = true};
	u64 value;

	if (!begin(t, 3))
		return;
	write_pages(t, 0, 2, 5);
	EXPECT_EQ(t, soft_read(page_at(2), &value), 0);
	REQUIRE_OR_END(t, pages_there(&s, 3));
	store.meanwhile = note_told;
	EXPECT_EQ(t, scan_once(s.mem, &scan), 3);
	EXPECT_EQ(t, told[0], 1);
	EXPECT_EQ(t, told[1], 2);
	end(t);
}

static void forbid_and_unmap(struct store *st, struct vm_object *object, u32 index)
{
	if (vm_protect(s.space, page_at(0), 1, VM_READ) || vm_unmap(s.space, page_at(1), 1))
		failed = 1;
}

KTEST(refused_page_comes_back_with_the_rights_of_its_region, KTEST_SLOW)
{
	struct lru_scan scan = {.desperate = true};
	u64 value = 0;

	if (!begin(t, 2))
		return;
	failed = 0;
	write_pages(t, 0, 2, 6);
	REQUIRE_OR_END(t, pages_there(&s, 2));
	store.meanwhile = forbid_and_unmap;
	store.answer = -EIO;
	EXPECT_EQ(t, scan_once(s.mem, &scan), 0);
	EXPECT_EQ(t, failed, 0);
	store.meanwhile = NULL;
	EXPECT_EQ(t, soft_write(page_at(0), 1), -EACCES);
	EXPECT_EQ(t, soft_read(page_at(0), &value), 0);
	EXPECT_EQ(t, value, stamp(0, 0, 6));
	EXPECT_EQ(t, soft_read(page_at(1), &value), -EFAULT);
	EXPECT_EQ(t, page_in(s.object, 1)->mapcount, 0);
	EXPECT_EQ(t, page_word(page_in(s.object, 1)) & PAGE_DIRTY, PAGE_DIRTY);
	end(t);
}

/* The page is unmapped, but its TLB entry is not flushed yet: a CPU may still write to it. */
KTEST(page_just_unmapped_waits_for_its_shootdown)
{
	struct lru_scan scan = {.desperate = true};
	struct tlb_gather g;

	if (!begin(t, 1))
		return;
	write_pages(t, 0, 1, 1);
	REQUIRE_OR_END(t, pages_there(&s, 1));
	unmap_without_flush(&s, &g);
	EXPECT_EQ(t, scan_once(s.mem, &scan), 0);
	EXPECT_EQ(t, store.cleans, 0);
	EXPECT_EQ(t, soft_try_write(VM_BASE, stamp(0, 0, 2)), 0);
	tlb_flush(&g);
	EXPECT_EQ(t, scan_once(s.mem, &scan) + scan_once(s.mem, &scan), 1);
	EXPECT_EQ(t, *(u64 *)page_address(store.page[0]), stamp(0, 0, 2));
	end(t);
}

/* Wait until scene_end waits for the reclaim thread, which then has the last reference. */
static void wait_for_the_scenes_end(struct store *st, struct vm_object *object, u32 index)
{
	if (!YIELD_UNTIL(tickets_waiting(&object->mem->nodes[0].reclaim.drains)))
		failed = 1;
}

KTEST(scene_ends_after_the_batch_that_holds_its_object, KTEST_SLOW)
{
	struct pile pile = {NULL, 0};

	if (!store_scene(t, &s, &store, 1))
		return;
	failed = 0;
	/* The reclaim thread reads this field whenever it cleans a page. */
	WRITE_ONCE(store.meanwhile, wait_for_the_scenes_end);
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	page_set_flags(page_in(s.object, 0), PAGE_DIRTY);
	/* Below the low watermark the thread starts a run. */
	pile_alloc(s.mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	EXPECT(t, YIELD_UNTIL(READ_ONCE(store.cleans)));
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	store_scene_end(t, &s, &store);
	EXPECT_EQ(t, failed, 0);
}

/* Wait until the reclaim thread has made a run for a movable page. */
static bool one_run(struct memory *mem)
{
	struct reclaim *r = &mem->nodes[0].reclaim;
	u64 ticket;

	atomic_or(&r->run_for, request_bit(GFP_MOVABLE, 0));
	ticket = atomic_add(&r->runs.asked, 1ULL) + 1;
	wake_up(&r->wake);
	return YIELD_UNTIL(load_acquire(&r->runs.done) == ticket);
}

/* The object has a dirty page in each of two zones. */
KTEST(refusing_pager_is_called_once_in_a_run, KTEST_SLOW)
{
	static const gfp_t where[] = {GFP_KERNEL, GFP_MOVABLE};
	struct pile pile = {NULL, 0};
	unsigned i;

	if (!store_scene(t, &s, &store, 2))
		return;
	/* The low watermark must not start a run. */
	reclaim_stop(s.mem);
	store.answer = -EIO;
	EXPECT_EQ(t, object_prepare(s.object, 0, 0), 0);
	for (i = 0; i < 2; i++) {
		struct page *page = NEED(t, mem_alloc_pages(s.mem, where[i], 0));

		spin_lock(&s.object->lock);
		EXPECT(t, object_fill(s.object, object_slot(s.object, i), i, page));
		spin_unlock(&s.object->lock);
		page_set_flags(page, PAGE_DIRTY);
	}
	pile_alloc(s.mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS);
	WRITE_ONCE(s.mem->nodes[0].reclaim.low, 0);
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	for (i = 1; i <= 2; i++) {
		EXPECT(t, one_run(s.mem));
		EXPECT_EQ(t, READ_ONCE(store.cleans), i);
	}
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	store_scene_end(t, &s, &store);
}
