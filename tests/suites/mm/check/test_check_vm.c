/* SPDX-License-Identifier: MIT */
/*
 * test_check_vm.c: check_memory finds each kind of damage to objects, spaces and reclaim lists,
 * and names it; it skips objects that are being changed.
 */
#include "tests/lib/plant_help.h"
#include "tests/lib/vm_help.h"

#define PAGES 6

static struct page *last; /* the page of the last slot */

/*
 * Expect check_memory to fail with a message that starts with @name. Then damage also the part that
 * check_memory checks last: it must still report the first damage.
 */
static void expect_named(struct ktest *t, struct memory *mem, const char *name, int line)
{
	struct migwait w;

	expect_said(t, mem, name, line);
	if (!page_trylock(last))
		return;
	migwait_queue(&w, mem, page_to_pfn_in(mem, last));
	expect_said(t, mem, name, line);
	migwait_wake(mem, page_to_pfn_in(mem, last));
	atomic_and(&last->word, ~PAGE_LOCKED);
}

/* Begin with an object of six pages, all mapped. */
static bool begin(struct ktest *t, struct vm_scene *s)
{
	if (!scene_begin_written(t, s, PAGES))
		return false;
	last = page_in(s->object, PAGES - 1);
	return true;
}

static void wrong_counts_are_found(struct ktest *t)
{
	struct vm_scene s;
	struct page *page;

	if (!begin(t, &s))
		return;
	page = page_in(s.object, 2);
	PLANT(t, s.mem, page->mapcount, 2, "I-S3");
	PLANT(t, s.mem, page->mapcount, 0, "I-S3");
	PLANT(t, s.mem, page->word, page->word + 1, "I-S2 references of an object's page");
	PLANT(t, s.mem, page->word, page->word - 1, "I-S2 references of an object's page");
	PLANT(t, s.mem, page->word, page->word - 2, "I-S1 references of a page in use");
	PLANT(t, s.mem, page->pincount, 1, "I-S2 references of an object's page");
	PLANT(t, s.mem, page->pincount, 2, "I-S2 references cover pins");
	PLANT(t, s.mem, s.object->nr_present, PAGES + 1, "I-S2 filled slots");
	/* While an unmap holds pages (vm.flushing), a page may have an extra reference. */
	s.mem->vm.flushing = 1;
	page->word++;
	expect_sound(t, s.mem);
	page->word--;
	PLANT(t, s.mem, page->word, page->word - 1, "I-S2 references of an object's page");
	s.mem->vm.flushing = 0;
	scene_end(t, &s);
}

static void wrong_slots_are_found(struct ktest *t)
{
	struct vm_scene s;
	struct page *page, *free;
	u64 *slot;

	if (!begin(t, &s))
		return;
	page = page_in(s.object, 2);
	slot = object_slot(s.object, 2);
	free = pfn_to_page_in(s.mem, s.mem->end_pfn - 1);
	PLANT(t, s.mem, page->index, 3, "I-S2 owner");
	PLANT(t, s.mem, page->owner, &s, "I-S2 owner");
	PLANT(t, s.mem, *slot, (uintptr_t)free, "I-S2 state");
	PLANT(t, s.mem, *slot, (uintptr_t)pfn_to_page_in(s.mem, s.mem->end_pfn),
	    "I-S2 slot names no page");
	PLANT(t, s.mem, *slot, slot_marker(page_to_pfn_in(s.mem, page)), "I-S5 marker");
	PLANT(t, s.mem, *slot, slot_marker(s.mem->end_pfn), "I-S5 marker");
	PLANT(t, s.mem, *slot, 0, "I-S2 filled slots");
	s.object->nr_present--;
	PLANT(t, s.mem, *slot, 0, "I-S4 entry for another page");
	s.object->nr_present++;
	scene_end(t, &s);
}

static void wrong_entries_are_found(struct ktest *t)
{
	struct vm_scene s;
	u64 *entry, *other;
	pfn_t pfn;

	if (!begin(t, &s))
		return;
	entry = pt_entry(&s.space->pt, page_at(2));
	other = pt_entry(&s.space->pt, page_at(PAGES));
	REQUIRE(t, entry && other);
	pfn = pte_pfn(*entry);
	PLANT(t, s.mem, *entry, 0, "I-S3");
	PLANT(t, s.mem, *entry, pte_migration(pfn), "I-S5 migration entry");
	PLANT(t, s.mem, *entry, pte_make(s.mem->end_pfn - 1, VM_READ), "I-S7 state");
	PLANT(t, s.mem, *entry, pte_make(s.mem->end_pfn, VM_READ), "I-S7 entry maps no page");
	PLANT(t, s.mem, *entry, PTE_WRITE, "I-S7 entry maps no page");
	PLANT(t, s.mem, *entry, *pt_entry(&s.space->pt, page_at(1)), "I-S4 entry for another page");
	PLANT(t, s.mem, *other, pte_make(pfn, VM_READ), "I-S4 entry outside every region");
	PLANT(t, s.mem, *entry, *entry & ~PTE_NX, "I-S4 entry allows more than its region");
	soft_load_space(s.space);
	EXPECT_EQ(t, vm_protect(s.space, page_at(2), 1, VM_READ), 0);
	soft_unload_space();
	PLANT(t, s.mem, *entry, *entry | PTE_WRITE, "I-S4 entry allows more than its region");
	/* While regions are being changed, an entry outside every region is no damage. */
	mutex_lock(&s.space->change);
	page_in(s.object, 2)->mapcount++;
	page_in(s.object, 2)->word++;
	*other = pte_make(pfn, VM_READ);
	expect_sound(t, s.mem);
	*other = 0;
	page_in(s.object, 2)->mapcount--;
	page_in(s.object, 2)->word--;
	mutex_unlock(&s.space->change);
	scene_end(t, &s);
}

static void wrong_lists_are_found(struct ktest *t)
{
	struct lru_list *list;
	struct page *head, *second;
	struct vm_scene s;

	if (!begin(t, &s))
		return;
	list = &s.mem->zones[ZONE_MOVABLE].lru[LRU_INACTIVE];
	EXPECT_EQ(t, list->nr, PAGES);
	head = pfn_to_page_in(s.mem, list->head);
	second = pfn_to_page_in(s.mem, head->next);
	PLANT(t, s.mem, list->nr, PAGES + 1, "I-N5 count of a reclaim list");
	PLANT(t, s.mem, list->nr, PAGES - 1, "I-N5 reclaim list longer");
	PLANT(t, s.mem, second->next, list->head, "I-N5");
	PLANT(t, s.mem, second->prev, (u32)PFN_NONE, "I-N5 links");
	PLANT(t, s.mem, list->tail, list->head, "I-N5 tail");
	PLANT(t, s.mem, list->head, (u32)s.mem->start_pfn, "I-N5 zone");
	PLANT(t, s.mem, head->owner, NULL, "I-N5 page on a reclaim list");
	PLANT(t, s.mem, head->word, head->word | PAGE_ACTIVE, "I-N5 age");
	PLANT(t, s.mem, s.mem->zones[ZONE_MOVABLE].nr_reclaiming, 1,
	    "I-N5 pages that reclaim has taken");
	/* Stop the reclaim thread: it would treat the planted number as a request. */
	reclaim_stop(s.mem);
	PLANT(t, s.mem, s.mem->nodes[0].reclaim.drains.done, 1, "I-R1 tickets for drains");
	PLANT(t, s.mem, s.mem->nodes[0].reclaim.runs.done, 1, "I-R1 tickets for runs");
	PLANT(t, s.mem, s.mem->nodes[0].reclaim.runs.started, 1, "I-R1 tickets for runs");
	PLANT(
	    t, s.mem, s.mem->nodes[0].reclaim.compactions.done, 1, "I-R1 tickets for compactions");
	EXPECT_EQ(t, reclaim_start(s.mem), 0);
	PLANT(t, s.mem, *list, ((struct lru_list){.head = (u32)PFN_NONE, .tail = (u32)PFN_NONE}),
	    "I-N5 pages in state LRU");
	scene_end(t, &s);
}

static void a_waiter_without_a_migration_is_found(struct ktest *t)
{
	struct vm_scene s;
	struct migwait w;
	struct page *page;

	if (!begin(t, &s))
		return;
	page = page_in(s.object, 0);
	EXPECT(t, page_trylock(page));
	migwait_queue(&w, s.mem, page_to_pfn_in(s.mem, page));
	expect_named(t, s.mem, "I-S8", __LINE__);
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	expect_sound(t, s.mem);
	PLANT(t, s.mem, page->word, page->word & ~PAGE_LOCKED, "I-S8");
	migwait_wake(s.mem, page_to_pfn_in(s.mem, page));
	atomic_and(&page->word, ~PAGE_LOCKED);
	putback_lru_page(s.mem, page);
	scene_end(t, &s);
}

static void a_frozen_page_is_locked(struct ktest *t)
{
	struct vm_scene s;
	struct page *page;
	u32 word;

	if (!begin(t, &s))
		return;
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, PAGES), 0);
	page = page_in(s.object, 0);
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	word = page->word;
	*object_slot(s.object, 0) = slot_marker(page_to_pfn_in(s.mem, page));
	page->word = PAGE_WORD(0, PG_ISO_MIG, 0) | PAGE_LOCKED;
	expect_sound(t, s.mem);
	PLANT(t, s.mem, page->word, PAGE_WORD(0, PG_ISO_MIG, 0), "I-S1");
	*object_slot(s.object, 0) = (uintptr_t)page;
	page->word = word;
	putback_lru_page(s.mem, page);
	scene_end(t, &s);
}

/* Imitate a CPU that is stopped in the middle of a change, while it holds the object's lock. */
static void an_object_being_changed_is_left_out(struct ktest *t)
{
	struct vm_scene s;
	struct page *page;

	if (!begin(t, &s))
		return;
	page = page_in(s.object, 2);
	page->mapcount++;
	s.object->lock.locked = 1;
	page->word++;
	expect_sound(t, s.mem);
	s.object->lock.locked = 0;
	expect_named(t, s.mem, "I-S3", __LINE__);
	page->word--;
	page->mapcount--;
	scene_end(t, &s);
}

KTEST_SUITE(check_vm, KTEST_MOSTLY_INSIDE, KTEST(wrong_counts_are_found),
    KTEST(wrong_slots_are_found), KTEST(wrong_entries_are_found), KTEST(wrong_lists_are_found),
    KTEST(a_waiter_without_a_migration_is_found), KTEST(a_frozen_page_is_locked),
    KTEST(an_object_being_changed_is_left_out));
