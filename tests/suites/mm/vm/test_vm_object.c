/* SPDX-License-Identifier: MIT */
/*
 * test_vm_object.c: how slots of objects are filled and emptied: by faults of many CPUs, pagers,
 * supply, removal and pins; and the kinds of objects.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"
#include "tests/lib/pager_help.h"
#include <quarry/memory_hotplug.h>
#include <quarry/oom.h>

KTEST_SUITE(vm_object, KTEST_QUICK);

KTEST(supplied_pages_have_their_content)
{
	static u64 text[PAGE_SIZE / sizeof(u64)];
	struct vm_scene s;
	u64 value = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(text); i++)
		text[i] = stamp(1, i, t->seed);
	if (!scene_begin(t, &s, 3))
		return;
	EXPECT_EQ(t, vm_object_supply(s.object, 1, text), 0);
	EXPECT_EQ(t, vm_object_supply(s.object, 2, NULL), 0);
	EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), -EEXIST);
	EXPECT_EQ(t, vm_object_supply(s.object, 3, NULL), -EINVAL);
	EXPECT_EQ(t, vm_object_present(s.object), 2);
	soft_load_space(s.space);
	for (i = 0; i < ARRAY_SIZE(text); i++) {
		EXPECT_EQ(t, soft_read(page_at(1) + i * sizeof(u64), &value), 0);
		EXPECT_EQ(t, value, text[i]);
	}
	EXPECT_EQ(t, soft_read(page_at(2), &value), 0);
	EXPECT_EQ(t, value, 0);
	soft_unload_space();
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(removed_pages_are_unmapped_everywhere, KTEST_SLOW)
{
	struct vm_scene s;
	u64 value = 1;
	unsigned long free;

	if (!scene_begin(t, &s, 100))
		return;
	EXPECT_EQ(t, vm_map(s.space, page_at(1000), 100, VM_RW, s.object, 0), 0);
	soft_load_space(s.space);
	write_pages(t, 0, 100, 4);
	EXPECT_EQ(t, soft_read(page_at(1010), &value), 0);
	free = memory_free_pages(s.mem);
	EXPECT_EQ(t, vm_object_remove(s.object, 10, 80), 0);
	EXPECT_EQ(t, memory_free_pages(s.mem), free + 80);
	EXPECT_EQ(t, vm_object_present(s.object), 20);
	EXPECT_EQ(t, soft_try_write(page_at(10), 1), -EFAULT);
	EXPECT_EQ(t, soft_try_write(page_at(1010), 1), -EFAULT);
	/* The read gets a new page, zeroed. */
	EXPECT_EQ(t, soft_read(page_at(10), &value), 0);
	EXPECT_EQ(t, value, 0);
	expect_pages(t, 0, 10, 4);
	expect_pages(t, 90, 100, 4);
	soft_unload_space();
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(a_pinned_page_outlives_its_slot)
{
	struct page *page = NULL;
	struct vm_scene s;
	unsigned long free;

	if (!scene_begin(t, &s, 2))
		return;
	EXPECT_EQ(t, vm_object_pin(s.object, 0, &page), -ENOENT);
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	REQUIRE(t, vm_object_pin(s.object, 0, &page) == 0);
	REQUIRE(t, page && page == page_in(s.object, 0));
	EXPECT_EQ(t, page->pincount, 1);
	free = memory_free_pages(s.mem);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 2), 0);
	EXPECT_EQ(t, memory_free_pages(s.mem), free);
	EXPECT_EQ(t, word_ref(page_word(page)), 1);
	mem_unpin_page(s.mem, page);
	EXPECT_EQ(t, memory_free_pages(s.mem), free + 1);
	scene_end(t, &s);
}

/* ---- kinds ---- */

/* With the caches off, take pages until the next one comes from a wholly free pageblock. */
static void reach_a_new_pageblock(struct memory *mem, struct pile *pile)
{
	const struct pageblock *pb;

	do {
		pile_alloc(mem, pile, GFP_KERNEL, 0, 1);
		pb = pageblock_of(mem, page_to_pfn_in(mem, pile->top));
	} while (pb->nr_free + 1u < PAGEBLOCK_PAGES);
	mem_free_pages(mem, pile_pop(pile), 0);
}

KTEST(physical_pages_stay_in_kernel_zones)
{
	struct pile pile = {NULL, 0};
	struct vm_object *object;
	struct mm_fail fail = {0};
	struct vm_scene s;
	struct page *page;
	pfn_t pfn;

	if (!scene_begin(t, &s, 2))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_PHYS, 2, NULL, NULL, &object));
	EXPECT_EQ(t, vm_map(s.space, page_at(100), 2, VM_RW, object, 0), 0);
	EXPECT_EQ(t, vm_object_supply(object, 0, NULL), 0);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_write(page_at(100), 5), 0);
	/* Tables and slots exist already, so the next page is alone in its pageblock. */
	EXPECT_EQ(t, zone_pcp_disable(&s.mem->zones[ZONE_NORMAL]), 0);
	reach_a_new_pageblock(s.mem, &pile);
	EXPECT_EQ(t, soft_write(page_at(101), 5), 0);
	soft_unload_space();
	page = NEED(t, page_in(object, 1));
	pfn = page_to_pfn_in(s.mem, page);
	EXPECT_EQ(
	    t, page_word(page), PAGE_WORD(2, PG_OBJECT, 0) | PAGE_REFERENCED | PAGE_UNEVICTABLE);
	EXPECT_EQ(t, zone_of(s.mem, pfn)->kind, ZONE_NORMAL);
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn), -EAGAIN);
	/* The page blocks an offline for good, and the offline names this page. */
	EXPECT_EQ(t, offline_query(s.mem, ALIGN_DOWN(pfn, PAGEBLOCK_PAGES), PAGEBLOCK_PAGES, &fail),
	    -EBUSY);
	EXPECT_EQ(t, fail.why, WHY_UNMOVABLE);
	EXPECT_EQ(t, fail.pfn, pfn);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	EXPECT_EQ(t, zone_pcp_enable(&s.mem->zones[ZONE_NORMAL]), 0);
	expect_sound(t, s.mem);
	vm_object_put(object);
	scene_end(t, &s);
}

/* A pager whose results the test chooses. */
struct book {
	int answer; /* result of get if it does not supply */
	bool supply;
	unsigned asked, released;
};

static int book_get(struct vm_object *object, u32 index)
{
	struct book *book = object->pager;
	u64 text[PAGE_SIZE / sizeof(u64)] = {index + 100};

	book->asked++;
	return book->supply ? vm_object_supply(object, index, text) : book->answer;
}

static void book_release(void *pager)
{
	((struct book *)pager)->released++;
}

static const struct vm_pager_ops book_ops = {.get = book_get, .release = book_release};

KTEST(pager_is_asked_for_missing_pages)
{
	struct book book = {.answer = -EIO};
	struct vm_object *object;
	struct vm_scene s;
	u64 value = 0;

	if (!scene_begin(t, &s, 1))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_PAGER, 5, &book_ops, &book, &object));
	EXPECT_EQ(t, vm_map(s.space, page_at(10), 5, VM_READ, object, 0), 0);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(13), &value), -EIO);
	book.answer = -ETIMEDOUT;
	EXPECT_EQ(t, soft_read(page_at(13), &value), -ETIMEDOUT);
	EXPECT_EQ(t, book.asked, 2);
	/* The write is refused before the pager is called. */
	EXPECT_EQ(t, soft_write(page_at(13), 1), -EACCES);
	EXPECT_EQ(t, book.asked, 2);
	book.supply = true;
	EXPECT_EQ(t, soft_read(page_at(13), &value), 0);
	EXPECT_EQ(t, value, 103);
	EXPECT_EQ(t, book.asked, 3);
	EXPECT_EQ(t, soft_read(page_at(13), &value), 0);
	EXPECT_EQ(t, book.asked, 3);
	/* After its removal the page is requested again. */
	EXPECT_EQ(t, vm_object_remove(object, 3, 1), 0);
	EXPECT_EQ(t, soft_read(page_at(13), &value), 0);
	EXPECT_EQ(t, book.asked, 4);
	/* A supplied page that is mapped nowhere is mapped without a request. */
	EXPECT_EQ(t, vm_object_supply(object, 4, NULL), 0);
	EXPECT_EQ(t, soft_read(page_at(14), &value), 0);
	EXPECT_EQ(t, book.asked, 4);
	soft_unload_space();
	vm_object_put(object);
	EXPECT_EQ(t, book.released, 0);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(10), 5), 0);
	EXPECT_EQ(t, book.released, 1);
	scene_end(t, &s);
}

/* ---- several CPUs ---- */

#define SHARED_PAGES 40

struct crowd {
	struct vm_scene *scene;
	u32 errors; /* atomic */
};

static void touch_all(void *arg)
{
	struct crowd *c = arg;
	unsigned i, cpu = arch_cpu_id();

	soft_load_space(c->scene->space);
	for (i = 0; i < SHARED_PAGES; i++) {
		u64 value = 0;

		if (soft_write(page_at(i) + cpu * 8, stamp(i, cpu, 1)) ||
		    soft_read(page_at(i) + cpu * 8, &value) || value != stamp(i, cpu, 1))
			counter_add(&c->errors, 1u);
	}
	soft_unload_space();
}

KTEST(page_is_zeroed_once)
{
	struct vm_scene s;
	struct crowd crowd = {.scene = &s};
	unsigned cpu, i;
	u64 value = 0;

	if (!scene_begin(t, &s, SHARED_PAGES))
		return;
	run_from(0, touch_all, &crowd);
	EXPECT_EQ(t, crowd.errors, 0);
	EXPECT_EQ(t, vm_object_present(s.object), SHARED_PAGES);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULT_NEW), SHARED_PAGES);
	EXPECT_EQ(t, s.space->pt.nr_tables, PT_LEVELS);
	soft_load_space(s.space);
	for (i = 0; i < SHARED_PAGES; i++) {
		REQUIRE(t, page_in(s.object, i));
		EXPECT_EQ(t, page_in(s.object, i)->mapcount, 1);
		EXPECT_EQ(t, word_ref(page_word(page_in(s.object, i))), 2);
		for (cpu = 0; cpu < ktest_cpus(); cpu++) {
			EXPECT_EQ(t, soft_read(page_at(i) + cpu * 8, &value), 0);
			EXPECT_EQ(t, value, stamp(i, cpu, 1));
		}
	}
	soft_unload_space();
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

static int fill_unless_refused(void *page, void *arg)
{
	memset(page, 7, PAGE_SIZE);
	return *(int *)arg;
}

/* The error of the function that fills the page is the result; the page is freed. */
KTEST(supply_that_cannot_be_filled_leaves_the_slot)
{
	int err = -EFAULT, none = 0;
	unsigned long free;
	struct vm_scene s;
	u64 value = 0;

	if (!scene_begin(t, &s, 3))
		return;
	EXPECT_EQ(t, object_prepare(s.object, 1, 0), 0);
	drain_all_pages(s.mem, NULL);
	free = memory_free_pages(s.mem);
	EXPECT_EQ(t, vm_object_supply_by(s.object, 1, fill_unless_refused, &err), -EFAULT);
	drain_all_pages(s.mem, NULL);
	EXPECT_EQ(t, memory_free_pages(s.mem), free);
	EXPECT(t, !vm_object_has(s.object, 1));
	EXPECT_EQ(t, vm_object_supply_by(s.object, 1, fill_unless_refused, &none), 0);
	EXPECT_EQ(t, vm_object_supply_by(s.object, 1, fill_unless_refused, &none), -EEXIST);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	soft_unload_space();
	EXPECT_EQ(t, value, 0x0707070707070707);
	scene_end(t, &s);
}

static struct {
	unsigned calls;
	unsigned long free; /* pages of MOVABLE when no memory was left for the table of slots */
} waited;

static bool find_nobody(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	waited.calls++;
	waited.free = movable_zone(mem)->nr_free;
	return false;
}

/* A page that the thread holds meanwhile could not move, and would keep a range from offlining. */
KTEST(a_supply_that_waits_for_memory_holds_no_page)
{
	struct pile low = {NULL, 0};
	struct vm_scene s;
	unsigned long free;

	if (!scene_begin(t, &s, 4))
		return;
	all_caches_off(t, s.mem);
	pile_alloc(s.mem, &low, GFP_KERNEL | GFP_NOWAIT, 0, ALL_THERE_IS);
	free = movable_zone(s.mem)->nr_free;
	waited.calls = 0;
	memory_set_oom(s.mem, find_nobody, NULL);
	EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), -ENOMEM);
	memory_set_oom(s.mem, NULL, NULL);
	EXPECT(t, waited.calls > 0);
	EXPECT_EQ(t, waited.free, free);
	EXPECT_EQ(t, pile_free(s.mem, &low), 0);
	EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), 0);
	scene_end(t, &s);
}
