/* SPDX-License-Identifier: MIT */
/*
 * test_check_vm_order.c: check_memory's part about objects, spaces and reclaim lists: the exact
 * limits of damage that test_check_vm.c does not plant, and the order in which damages are named.
 */
#include "tests/lib/plant_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/memory_hotplug.h>

#define PAGES 6

static void expect_named(struct ktest *t, struct memory *mem, const char *name, int line)
{
	expect_said(t, mem, name, line);
}

#define NAMED(t, mem, name) expect_said((t), (mem), (name), __LINE__)

static void expect_figures(
    struct ktest *t, struct memory *mem, unsigned long have, unsigned long want, int line)
{
	struct mm_violation v = {.what = NULL};

	EXPECT_EQ(t, check_memory(mem, &v), -EUCLEAN);
	if (v.have != have || v.want != want)
		ktest_fail(t, __FILE__, line, "%s: said %lu %lu, not %lu %lu",
		    v.what ? v.what : "nothing", v.have, v.want, have, want);
}

/* ---- reclaim lists, tickets ---- */

static void reclaim_lists_are_checked_in_order(struct ktest *t)
{
	struct lru_list *lru, list;
	struct vm_scene s;
	struct page *head;
	u32 word;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	lru = s.mem->zones[ZONE_MOVABLE].lru;
	list = lru[LRU_INACTIVE];
	head = pfn_to_page_in(s.mem, list.head);
	/* A page of another zone, on a list whose count is 0. */
	PLANT(t, s.mem, lru[LRU_INACTIVE], ((struct lru_list){.head = (u32)s.mem->start_pfn}),
	    "I-N5 reclaim list longer");
	PLANT(t, s.mem, lru[LRU_INACTIVE].head, (u32)s.mem->start_pfn + 1, "I-N5 zone");
	/* A page that is not in state LRU, and has the flag of the other list. */
	word = head->word;
	head->word = PAGE_WORD(word_ref(word), PG_OBJECT, 0) | PAGE_ACTIVE;
	NAMED(t, s.mem, "I-N5 page on a reclaim list");
	expect_figures(t, s.mem, head->word, PAGE_WORD(1, PG_LRU, 0), __LINE__);
	head->word = word | PAGE_ACTIVE;
	PLANT(t, s.mem, head->prev, 0, "I-N5 age");
	head->word = word;
	/* All pages are on the list of the wrong age; unevictable pages have no age. */
	lru[LRU_INACTIVE] = lru[LRU_ACTIVE];
	lru[LRU_ACTIVE] = list;
	NAMED(t, s.mem, "I-N5 age");
	lru[LRU_ACTIVE] = lru[LRU_INACTIVE];
	lru[LRU_UNEVICTABLE] = list;
	expect_sound(t, s.mem);
	head->word |= PAGE_ACTIVE;
	expect_sound(t, s.mem);
	head->word = word;
	lru[LRU_UNEVICTABLE] = lru[LRU_ACTIVE];
	lru[LRU_INACTIVE] = list;
	/* Tail and count are wrong. */
	list.tail = list.head;
	list.nr++;
	PLANT(t, s.mem, lru[LRU_INACTIVE], list, "I-N5 count");
	scene_end(t, &s);
}

static void pages_isolated_by_reclaim_are_checked(struct ktest *t)
{
	struct vm_scene s;
	struct zone *zone;
	struct page *page;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	zone = &s.mem->zones[ZONE_MOVABLE];
	page = page_in(s.object, 0);
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	zone->nr_reclaiming = 1;
	expect_sound(t, s.mem);
	PLANT(t, s.mem, zone->nr_reclaiming, 2, "I-N5 pages that reclaim has taken");
	zone->nr_reclaiming = 0;
	putback_lru_page(s.mem, page);
	/* Wrong counts of pages on lists are named before a wrong nr_reclaiming. */
	zone->nr_reclaiming = 1;
	PLANT(t, s.mem, zone->lru[LRU_INACTIVE],
	    ((struct lru_list){.head = (u32)PFN_NONE, .tail = (u32)PFN_NONE}),
	    "I-N5 pages in state LRU");
	zone->nr_reclaiming = 0;
	scene_end(t, &s);
}

static void tickets_are_checked_in_order(struct ktest *t)
{
	struct reclaim *r, saved;
	struct vm_scene s;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	reclaim_stop(s.mem);
	r = &s.mem->nodes[0].reclaim;
	saved = *r;
	r->drains.asked = r->drains.started = r->drains.done = 5;
	r->runs.asked = r->runs.started = r->runs.done = 7;
	expect_sound(t, s.mem);
	PLANT(t, s.mem, r->drains.started, 6, "I-R1 tickets for drains");
	PLANT(t, s.mem, r->drains.started, 4, "I-R1 tickets for drains");
	r->drains.done = 3;
	r->drains.started = 4;
	expect_sound(t, s.mem);
	r->runs.done = 8;
	PLANT(t, s.mem, r->drains.asked, 3, "I-R1 tickets for drains");
	NAMED(t, s.mem, "I-R1 tickets for runs");
	r->drains.asked = saved.drains.asked;
	r->drains.started = saved.drains.started;
	r->drains.done = saved.drains.done;
	r->runs.asked = saved.runs.asked;
	r->runs.started = saved.runs.started;
	r->runs.done = saved.runs.done;
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	scene_end(t, &s);
}

/* ---- slots ---- */

static void slots_are_checked_in_order(struct ktest *t)
{
	struct vm_scene s;
	struct page *page, *other;
	pfn_t gone;
	u64 *slot;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	gone = s.mem->end_pfn - PAGEBLOCK_PAGES;
	EXPECT_EQ(t, offline_pages(s.mem, gone, PAGEBLOCK_PAGES, NULL, NULL), 0);
	/* The offline may have moved the pages. */
	page = page_in(s.object, 2);
	slot = object_slot(s.object, 2);
	other = page_in(s.object, 3);
	REQUIRE(t, page && other);
	/* The slot names offline memory; or a page that is locked, but not being migrated. */
	PLANT(t, s.mem, *slot, (uintptr_t)pfn_to_page_in(s.mem, gone), "I-S2 slot names no page");
	EXPECT(t, page_trylock(page));
	PLANT(t, s.mem, *slot, slot_marker(page_to_pfn_in(s.mem, page)), "I-S5 marker");
	atomic_and(&page->word, ~PAGE_LOCKED);
	/* The slot names a page of the object, but of another slot. */
	PLANT(t, s.mem, *slot, (uintptr_t)other, "I-S2 owner");
	/* A slot whose page was lost has no page. */
	PLANT(t, s.mem, *slot, SLOT_LOST, "I-S2 filled slots");
	EXPECT_EQ(t, online_pages(s.mem, gone, PAGEBLOCK_PAGES, NULL), 0);
	scene_end(t, &s);
}

/*
 * A pinned page is sound, and so is an isolated page; an object whose regions are being walked is
 * skipped.
 */
static void mapping_counts_are_checked_in_order(struct ktest *t)
{
	struct page *page, *pinned;
	struct vm_scene s;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	page = page_in(s.object, 2);
	EXPECT_EQ(t, vm_object_pin(s.object, 2, &pinned), 0);
	EXPECT(t, pinned == page);
	expect_sound(t, s.mem);
	PLANT(t, s.mem, page->pincount, 0, "I-S2 references of an object's page");
	mem_unpin_page(s.mem, page);
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	expect_sound(t, s.mem);
	PLANT(t, s.mem, page->word, page->word - 1, "I-S2 references of an object's page");
	putback_lru_page(s.mem, page);
	page->mapcount++;
	page->word++;
	NAMED(t, s.mem, "I-S3");
	WRITE_ONCE(s.object->walked, 1);
	expect_sound(t, s.mem);
	WRITE_ONCE(s.object->walked, 0);
	page->mapcount--;
	/* While an unmapping is in progress, a page may have too many references, never too few. */
	NAMED(t, s.mem, "I-S2 references of an object's page");
	WRITE_ONCE(s.mem->vm.flushing, 1);
	expect_sound(t, s.mem);
	WRITE_ONCE(s.mem->vm.flushing, 0);
	page->word--;
	scene_end(t, &s);
}

/* Slots behind an absent table of slots are counted and checked. */
static void slots_behind_an_empty_table_are_checked(struct ktest *t)
{
	const u32 nr = 2 * PT_ENTRIES + 2,
	          at[] = {PT_ENTRIES - 1, 2 * PT_ENTRIES, 2 * PT_ENTRIES + 1};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin_pager(t, &s, nr, &scene_pager, NULL))
		return;
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, vm_object_supply(s.object, at[i], NULL), 0);
	expect_sound(t, s.mem);
	for (i = 0; i < 3; i++) {
		REQUIRE(t, page_in(s.object, at[i]));
		PLANT(t, s.mem, page_in(s.object, at[i])->index, 0, "I-S2 owner");
	}
	PLANT(t, s.mem, s.object->nr_present, 2, "I-S2 filled slots");
	scene_end(t, &s);
}

/* ---- regions ---- */

/* If r->below is too high, a search misses regions beside region r; if too low, regions below r. */
static void last_slot_below_a_region_is_exact(struct ktest *t)
{
	struct vm_region *r;
	struct vm_scene s;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	r = NEED(t, region_find(s.space, page_at(0)));
	EXPECT_EQ(t, r->below, PAGES - 1);
	PLANT(t, s.mem, r->below, PAGES, "I-S6 last slot below a region");
	PLANT(t, s.mem, r->below, PAGES - 2, "I-S6 last slot below a region");
	r->below++;
	expect_figures(t, s.mem, PAGES, PAGES - 1, __LINE__);
	WRITE_ONCE(s.object->walked, 1);
	expect_sound(t, s.mem);
	WRITE_ONCE(s.object->walked, 0);
	r->below--;
	scene_end(t, &s);
}

/* ---- entries ---- */

static void rights_of_entries_are_checked(struct ktest *t)
{
	struct vm_scene s;
	u64 *entry;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	entry = pt_entry(&s.space->pt, page_at(2));
	soft_load_space(s.space);
	EXPECT_EQ(t, vm_protect(s.space, page_at(2), 1, VM_READ), 0);
	expect_sound(t, s.mem);
	PLANT(t, s.mem, *entry, *entry | PTE_WRITE, "I-S4 entry allows more");
	PLANT(t, s.mem, *entry, *entry & ~PTE_NX, "I-S4 entry allows more");
	EXPECT_EQ(t, vm_protect(s.space, page_at(2), 1, VM_RW), 0);
	soft_unload_space();
	/* An entry of a writable region need not be writable. */
	PLANT(t, s.mem, *entry, *entry & ~PTE_NX, "I-S4 entry allows more");
	/* A wrong page is named before wrong rights. */
	PLANT(t, s.mem, *entry,
	    pte_make(page_to_pfn_in(s.mem, page_in(s.object, 3)), VM_RW | VM_EXEC),
	    "I-S4 entry for another page");
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/* An entry without a region is damage, unless the space is being changed or destroyed. */
static void entry_without_a_region_needs_a_change_in_progress(struct ktest *t)
{
	struct vm_scene s;
	struct page *page;
	u64 *other;
	u32 refs;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	page = page_in(s.object, 2);
	other = NEED(t, pt_entry(&s.space->pt, page_at(PAGES)));
	page->mapcount++;
	page->word++;
	*other = pte_make(page_to_pfn_in(s.mem, page), VM_READ);
	NAMED(t, s.mem, "I-S4 entry outside every region");
	s.space->lock.locked = 1;
	expect_sound(t, s.mem);
	s.space->lock.locked = 0;
	refs = s.space->refs;
	WRITE_ONCE(s.space->refs, 0);
	expect_sound(t, s.mem);
	WRITE_ONCE(s.space->refs, refs);
	NAMED(t, s.mem, "I-S4 entry outside every region");
	/* The page of an entry is checked even while the space is changed. */
	mutex_lock(&s.space->change);
	PLANT(t, s.mem, *other, pte_make(s.mem->end_pfn, VM_READ), "I-S7 entry maps no page");
	mutex_unlock(&s.space->change);
	/* Objects and spaces are not checked while their lists change. */
	s.mem->vm.lock.locked = 1;
	expect_sound(t, s.mem);
	s.mem->vm.lock.locked = 0;
	*other = 0;
	page->mapcount--;
	page->word--;
	scene_end(t, &s);
}

/* A mapped page must be an object's, by its state and by its owner. */
static void mapped_page_belongs_to_an_object(struct ktest *t)
{
	struct vm_scene s;
	struct page *page;
	u64 *other;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	other = pt_entry(&s.space->pt, page_at(PAGES));
	page = mem_alloc_pages(s.mem, GFP_MOVABLE, 0);
	REQUIRE(t, other && page);
	*other = pte_make(page_to_pfn_in(s.mem, page), VM_READ);
	NAMED(t, s.mem, "I-S7 state of a mapped page");
	page->owner = s.object;
	NAMED(t, s.mem, "I-S7 state of a mapped page");
	page->word = PAGE_WORD(1, PG_OBJECT, 0);
	NAMED(t, s.mem, "I-S4 entry outside every region");
	page->owner = NULL;
	NAMED(t, s.mem, "I-S7 state of a mapped page");
	page->word = PAGE_WORD(1, PG_ALLOC, 0);
	*other = 0;
	EXPECT_EQ(t, mem_free_pages(s.mem, page, 0), 0);
	scene_end(t, &s);
}

KTEST_SUITE(check_vm_order, KTEST_MOSTLY_INSIDE, KTEST(reclaim_lists_are_checked_in_order),
    KTEST(pages_isolated_by_reclaim_are_checked), KTEST(tickets_are_checked_in_order),
    KTEST(slots_are_checked_in_order), KTEST(mapping_counts_are_checked_in_order),
    KTEST(slots_behind_an_empty_table_are_checked), KTEST(last_slot_below_a_region_is_exact),
    KTEST(rights_of_entries_are_checked), KTEST(entry_without_a_region_needs_a_change_in_progress),
    KTEST(mapped_page_belongs_to_an_object));
