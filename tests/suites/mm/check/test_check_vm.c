/* SPDX-License-Identifier: MIT */
/*
 * test_check_vm.c: what check_memory says of objects and spaces while they are being changed, and
 * of damage that lies in more than one field; test_fields.c plants the rest.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"

#define PAGES 6

#define NAMED(t, s, name) expect_said((t), (s).mem, (name), __LINE__)

/* One more mapping, and its reference, that no entry has; or take them back. */
static void count_mapping(struct page *page, int more)
{
	page->mapcount = (u16)(page->mapcount + more);
	page->word += (u32)more;
}

KTEST_SUITE(check_vm, KTEST_MOSTLY_INSIDE);

/* A CPU may be stopped in the middle of a change, while it holds the lock of an object or more. */
KTEST(object_being_changed_is_left_out)
{
	struct vm_scene s;
	struct page *page;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	page = page_in(s.object, 2);
	count_mapping(page, 1);
	NAMED(t, s, "I-S3");
	s.object->lock.locked = 1;
	expect_sound(t, s.mem);
	s.object->lock.locked = 0;
	WRITE_ONCE(s.object->walked, 1);
	expect_sound(t, s.mem);
	WRITE_ONCE(s.object->walked, 0);
	s.mem->vm.lock.locked = 1;
	expect_sound(t, s.mem);
	s.mem->vm.lock.locked = 0;
	NAMED(t, s, "I-S3");
	count_mapping(page, -1);
	/* While an unmapping is in progress, a page may have too many references, never too few. */
	WRITE_ONCE(s.mem->vm.flushing, 1);
	page->word++;
	expect_sound(t, s.mem);
	page->word--;
	PLANT(t, s.mem, page->word, page->word - 1, "I-S2 references of an object's page");
	WRITE_ONCE(s.mem->vm.flushing, 0);
	scene_end(t, &s);
}

/* An entry without a region is damage, unless the space is being changed or destroyed. */
KTEST(entry_without_a_region_needs_a_change_in_progress)
{
	struct vm_scene s;
	struct page *page;
	u64 *other;
	u32 refs;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	page = page_in(s.object, 2);
	other = NEED(t, pt_entry(&s.space->pt, page_at(PAGES)));
	count_mapping(page, 1);
	*other = pte_make(page_to_pfn_in(s.mem, page), VM_READ);
	NAMED(t, s, "I-S4 entry outside every region");
	s.space->lock.locked = 1;
	expect_sound(t, s.mem);
	s.space->lock.locked = 0;
	refs = s.space->refs;
	WRITE_ONCE(s.space->refs, 0);
	expect_sound(t, s.mem);
	WRITE_ONCE(s.space->refs, refs);
	/* The page of an entry is checked even while the space is changed. */
	mutex_lock(&s.space->change);
	expect_sound(t, s.mem);
	PLANT(t, s.mem, *other, pte_make(s.mem->end_pfn, VM_READ), "I-S7 entry maps no page");
	mutex_unlock(&s.space->change);
	*other = 0;
	count_mapping(page, -1);
	scene_end(t, &s);
}

KTEST(rights_of_entries_are_checked)
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
	expect_sound(t, s.mem);
	PLANT(t, s.mem, *entry, *entry & ~PTE_NX, "I-S4 entry allows more");
	scene_end(t, &s);
}

/* A mapped page must be an object's, by its state and by its owner. */
KTEST(mapped_page_belongs_to_an_object)
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
	page->owner = s.object;
	NAMED(t, s, "I-S7 state of a mapped page");
	page->word = PAGE_WORD(1, PG_OBJECT, 0);
	NAMED(t, s, "I-S4 entry outside every region");
	page->owner = NULL;
	NAMED(t, s, "I-S7 state of a mapped page");
	page->word = PAGE_WORD(1, PG_ALLOC, 0);
	*other = 0;
	EXPECT_EQ(t, mem_free_pages(s.mem, page, 0), 0);
	scene_end(t, &s);
}

/* Slots behind an absent table of slots are counted and checked; lost pages are no pages. */
KTEST(slots_behind_an_empty_table_are_checked)
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
		PLANT(t, s.mem, *object_slot(s.object, at[i]), SLOT_LOST, "I-S2 filled slots");
	}
	scene_end(t, &s);
}

KTEST(waiter_without_a_migration_is_found)
{
	struct vm_scene s;
	struct migwait w;
	struct page *page;
	u32 word;

	if (!scene_begin_written(t, &s, PAGES))
		return;
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, PAGES), 0);
	page = page_in(s.object, 0);
	EXPECT(t, page_trylock(page));
	migwait_queue(&w, s.mem, page_to_pfn_in(s.mem, page));
	NAMED(t, s, "I-S8");
	EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
	expect_sound(t, s.mem);
	PLANT(t, s.mem, page->word, page->word & ~PAGE_LOCKED, "I-S8");
	migwait_wake(s.mem, page_to_pfn_in(s.mem, page));
	/* While its migrator copies it, a locked page may have no references, and a marker. */
	word = page->word;
	*object_slot(s.object, 0) = slot_marker(page_to_pfn_in(s.mem, page));
	page->word = PAGE_WORD(0, PG_ISO_MIG, 0) | PAGE_LOCKED;
	expect_sound(t, s.mem);
	PLANT(t, s.mem, page->word, PAGE_WORD(0, PG_ISO_MIG, 0), "I-S1");
	*object_slot(s.object, 0) = (uintptr_t)page;
	page->word = word & ~PAGE_LOCKED;
	putback_lru_page(s.mem, page);
	scene_end(t, &s);
}
