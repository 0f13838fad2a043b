/* SPDX-License-Identifier: MIT */
/*
 * test_lru.c: pages of objects on their zones' lists: which pages, in which order, and how they
 * leave.
 */
#include "mm/core/page.h"
#include "tests/lib/vm_help.h"
#include <quarry/string.h>

static struct lru_list *list_of(struct memory *mem, unsigned which)
{
	return &mem->zones[ZONE_MOVABLE].lru[which];
}

/* The object has a pager: anonymous pages are on another list, whose order does not matter. */
static bool begin(struct ktest *t, struct vm_scene *s, unsigned nr)
{
	return scene_begin_pager(t, s, nr, &scene_pager, NULL);
}

/* Supply slots 0 to @nr - 1, in that order. */
static bool supply(struct vm_scene *s, u32 nr)
{
	u32 i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = vm_object_supply(s->object, i, NULL);
	return !err;
}

static pfn_t pfn_in(struct vm_scene *s, u32 index)
{
	return page_to_pfn_in(s->mem, page_in(s->object, index));
}

/* Expect the list to have the pages of @slots, digits in order from its head; check both links. */
static void expect_list(struct ktest *t, struct vm_scene *s, unsigned which, const char *slots)
{
	const struct lru_list *list = list_of(s->mem, which);
	u32 pfn = list->head, prev = (u32)PFN_NONE;

	EXPECT_EQ(t, list->nr, strlen(slots));
	for (; *slots; slots++) {
		REQUIRE(t, pfn != PFN_NONE);
		EXPECT_EQ(t, pfn, pfn_in(s, (u32)(*slots - '0')));
		EXPECT_EQ(t, pfn_to_page_in(s->mem, pfn)->prev, prev);
		prev = pfn;
		pfn = pfn_to_page_in(s->mem, pfn)->next;
	}
	EXPECT_EQ(t, pfn, PFN_NONE);
	EXPECT_EQ(t, list->tail, prev);
}

KTEST_SUITE(lru, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(new_pages_are_listed_first)
{
	struct vm_scene s;

	if (!begin(t, &s, 4))
		return;
	expect_list(t, &s, LRU_INACTIVE, "");
	REQUIRE(t, supply(&s, 4));
	expect_list(t, &s, LRU_INACTIVE, "3210");
	/* Remove a page from the middle, the head and the tail, and then the last page. */
	EXPECT_EQ(t, vm_object_remove(s.object, 1, 1), 0);
	expect_list(t, &s, LRU_INACTIVE, "320");
	EXPECT_EQ(t, vm_object_remove(s.object, 3, 1), 0);
	expect_list(t, &s, LRU_INACTIVE, "20");
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 1), 0);
	expect_list(t, &s, LRU_INACTIVE, "2");
	EXPECT_EQ(t, vm_object_remove(s.object, 2, 1), 0);
	expect_list(t, &s, LRU_INACTIVE, "");
	scene_end(t, &s);
}

KTEST(an_isolated_page_is_on_no_list)
{
	struct vm_scene s;
	struct page *page;

	if (!begin(t, &s, 3))
		return;
	REQUIRE(t, supply(&s, 3));
	page = page_in(s.object, 1);
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn_in(&s, 1)), 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_ISO_MIG, 0));
	expect_list(t, &s, LRU_INACTIVE, "20");
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn_in(&s, 1)), -EAGAIN);
	expect_sound(t, s.mem);
	putback_lru_page(s.mem, page);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_LRU, 0));
	expect_list(t, &s, LRU_INACTIVE, "120");
	scene_end(t, &s);
}

KTEST(active_pages_have_their_own_list)
{
	struct vm_scene s;

	if (!begin(t, &s, 3))
		return;
	REQUIRE(t, supply(&s, 3));
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn_in(&s, 0)), 0);
	page_set_flags(page_in(s.object, 0), PAGE_ACTIVE);
	putback_lru_page(s.mem, page_in(s.object, 0));
	expect_list(t, &s, LRU_ACTIVE, "0");
	expect_list(t, &s, LRU_INACTIVE, "21");
	expect_sound(t, s.mem);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 1), 0);
	expect_list(t, &s, LRU_ACTIVE, "");
	scene_end(t, &s);
}

/* Anonymous pages can be migrated, but not reclaimed: reclaim must not find them. */
KTEST(anonymous_pages_are_listed_apart, KTEST_SLOW)
{
	struct vm_scene s;

	if (!scene_begin(t, &s, 2))
		return;
	REQUIRE(t, supply(&s, 2));
	expect_list(t, &s, LRU_UNEVICTABLE, "10");
	EXPECT_EQ(t, zone_evictable(&s.mem->zones[ZONE_MOVABLE]), 0);
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn_in(&s, 0)), 0);
	page_set_flags(page_in(s.object, 0), PAGE_ACTIVE);
	putback_lru_page(s.mem, page_in(s.object, 0));
	EXPECT_EQ(t, list_of(s.mem, LRU_UNEVICTABLE)->nr, 2);
	EXPECT_EQ(t, zone_evictable(&s.mem->zones[ZONE_MOVABLE]), 0);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(only_listed_pages_are_isolated)
{
	struct page *other, *pinned = NULL;
	struct vm_scene s;

	if (!begin(t, &s, 2))
		return;
	REQUIRE(t, supply(&s, 2));
	other = NEED(t, mem_alloc_pages(s.mem, GFP_MOVABLE, 0));
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, other)), -EAGAIN);
	EXPECT_EQ(t, mem_free_pages(s.mem, other, 0), 0);
	EXPECT_EQ(t, isolate_lru_page(s.mem, s.mem->end_pfn - 1), -EAGAIN);
	REQUIRE(t, vm_object_pin(s.object, 0, &pinned) == 0);
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn_in(&s, 0)), -EBUSY);
	EXPECT_EQ(t, list_of(s.mem, LRU_INACTIVE)->nr, 2);
	mem_unpin_page(s.mem, pinned);
	EXPECT_EQ(t, isolate_lru_page(s.mem, pfn_in(&s, 0)), 0);
	putback_lru_page(s.mem, page_in(s.object, 0));
	scene_end(t, &s);
}

/* The only page of a new object; NULL: the test is skipped or has failed. */
static struct page *begin_with_page(struct ktest *t, struct vm_scene *s)
{
	if (!begin(t, s, 1))
		return NULL;
	if (!supply(s, 1))
		ktest_fail(t, __FILE__, __LINE__, "the object gets no page");
	return page_in(s->object, 0);
}

/* The page still has the state of a listed page, but its last reference may go at any time. */
KTEST(a_released_page_is_not_isolated)
{
	struct vm_scene s;
	struct page *page;

	page = begin_with_page(t, &s);
	if (!page)
		return;
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 1), 0);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_LRU, 0));
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), -EAGAIN);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_LRU, 0));
	expect_sound(t, s.mem);
	EXPECT_EQ(t, mem_put_page(s.mem, page), 0);
	scene_end(t, &s);
}

KTEST(a_page_released_while_isolated_is_freed_once)
{
	struct vm_scene s;
	struct page *page[2];
	unsigned i;

	if (!begin(t, &s, 2))
		return;
	REQUIRE(t, supply(&s, 2));
	for (i = 0; i < 2; i++) {
		page[i] = page_in(s.object, i);
		EXPECT_EQ(t, isolate_lru_page(s.mem, pfn_in(&s, i)), 0);
	}
	/* One page is removed, the other is freed with its object. */
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 1), 0);
	EXPECT_EQ(t, page_word(page[0]), PAGE_WORD(1, PG_ISO_MIG, 0));
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 2), 0);
	vm_object_put(s.object);
	s.object = NULL;
	EXPECT_EQ(t, page_word(page[1]), PAGE_WORD(1, PG_ISO_MIG, 0));
	EXPECT(t, !lru_get_object(s.mem, page[1]));
	putback_lru_page(s.mem, page[0]);
	putback_lru_page(s.mem, page[1]);
	EXPECT_EQ(t, list_of(s.mem, LRU_INACTIVE)->nr, 0);
	scene_end(t, &s);
}

/* Each page leaves the list of its own zone, whatever zones the other pages are in. */
KTEST(pages_of_two_zones_are_released_together)
{
	static const unsigned kind[] = {ZONE_MOVABLE, ZONE_NORMAL, ZONE_NORMAL, ZONE_MOVABLE};
	struct page *page[ARRAY_SIZE(kind)];
	struct vm_scene s;
	unsigned i;

	if (!begin(t, &s, 4))
		return;
	for (i = 0; i < ARRAY_SIZE(kind); i++) {
		page[i] =
		    mem_alloc_pages(s.mem, kind[i] == ZONE_MOVABLE ? GFP_MOVABLE : GFP_KERNEL, 0);
		REQUIRE(t, page[i]);
		REQUIRE(t, lru_add_page(s.mem, page[i], s.object, i));
	}
	for (i = 0; i < ARRAY_SIZE(kind); i++)
		EXPECT_EQ(t, s.mem->zones[kind[i]].lru[LRU_INACTIVE].nr, 2);
	lru_release_pages(s.mem, page, ARRAY_SIZE(kind));
	for (i = 0; i < ARRAY_SIZE(kind); i++) {
		EXPECT_EQ(t, s.mem->zones[kind[i]].lru[LRU_INACTIVE].nr, 0);
		EXPECT(t, !page[i]->owner);
		EXPECT_EQ(t, mem_put_page(s.mem, page[i]), 0);
	}
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/*
 * The list from its head is s.2, 3, 2, s.1, 1, 0, s.0, where s. marks a page of s.object; the
 * others are of @other. Page 3 is isolated, but still names page 2 as its neighbour.
 */
KTEST(an_object_leaves_the_list_around_other_pages)
{
	static const bool mine[] = {true, false, false, true, false, false, true};
	struct vm_object *other;
	struct page *isolated;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 3))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_ANON, 4, NULL, NULL, &other));
	for (i = 0; i < ARRAY_SIZE(mine); i++) {
		struct vm_object *object = mine[i] ? s.object : other;

		REQUIRE(t, !vm_object_supply(object, vm_object_present(object), NULL));
	}
	isolated = page_in(other, 3);
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, isolated)), 0);
	EXPECT_EQ(t, list_of(s.mem, LRU_UNEVICTABLE)->nr, 6);
	vm_object_put(other);
	expect_list(t, &s, LRU_UNEVICTABLE, "210");
	putback_lru_page(s.mem, isolated);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/* put_many refuses to drop the same last references as mem_put_page. */
KTEST_CONTRACT(what_is_put_with_others_is_checked_too,
    .reports = "bad free: pfn|bad free: block|bad free: last put of a page in use, "
               "order|?history of pfn|? us  cpu ")
{
	struct vm_scene s;
	struct page *page, *put;
	unsigned i;

	page = begin_with_page(t, &s);
	if (!page)
		return;
	put = page;
	put_many(s.mem, &put, 1);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_QUARANTINED), 1);
	EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 1), 0);
	for (i = 0; i < 3; i++) {
		page->mapcount = i == 0;
		WRITE_ONCE(page->pincount, (u16)(i == 1));
		if (i == 2)
			atomic_or(&page->word, PAGE_LOCKED);
		put_many(s.mem, &put, 1);
		EXPECT_EQ(t, mm_event_sum(s.mem, EV_QUARANTINED), 2 + i);
		EXPECT_EQ(t, word_ref(page_word(page)), 1);
	}
	page_clear_flags(page, PAGE_LOCKED);
	put_many(s.mem, &put, 1);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_BAD_FREE), 4);
	vm_object_put(s.object);
	vm_space_put(s.space);
	EXPECT_EQ(t, memory_free_pages(s.mem), s.free);
}

/* The slot's reference keeps the page alive: dropping it while the page can be found is refused. */
KTEST_CONTRACT(a_listed_page_is_not_freed,
    .reports = "bad free: pfn|bad free: block|bad free: last put of a page in use, "
               "order|?history of pfn|? us  "
               "cpu |bad free: not allocated by alloc_pages, or still in use, order")
{
	struct vm_scene s;
	struct page *page;

	page = begin_with_page(t, &s);
	if (!page)
		return;
	EXPECT_EQ(t, mem_put_page(s.mem, page), -EINVAL);
	EXPECT_EQ(t, page_word(page), PAGE_WORD(1, PG_LRU, 0));
	EXPECT_EQ(t, mem_free_pages(s.mem, page, 0), -EINVAL);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_BAD_FREE), 2);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_QUARANTINED), 1);
	vm_object_put(s.object);
	vm_space_put(s.space);
	EXPECT_EQ(t, memory_free_pages(s.mem), s.free);
}
