/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_gone.c: the page, or its object, is removed during its migration.  The migrator is
 * held between two of its steps on CPU 1, as in test_migrate_race.c.
 */
#include "tests/lib/race_migrate.h"

KTEST_SUITE(migrate_gone, KTEST_MOSTLY_INSIDE);

KTEST(removed_page_is_not_restored_by_the_migrator)
{
	struct toucher w[WAITERS];
	struct stage st;
	unsigned nr;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	nr = start_waiters(&st, w, st.s.space, page_at(1));
	EXPECT_EQ(t, vm_object_remove(st.s.object, 1, 1), 0);
	EXPECT_EQ(t, pte_at(st.s.space, page_at(1)), 0);
	EXPECT_EQ(t, vm_object_present(st.s.object), 3);
	race_migrate_end(t, &st.r, 1);
	/* The waiters get a new, zeroed page: the old page and its copy were dropped. */
	join_waiters(&st, w, nr, 0);
	EXPECT_EQ(t, vm_object_present(st.s.object), 4);
	stage_end(&st, -ENOENT);
}

KTEST(a_page_removed_and_in_use_is_freed_by_its_user)
{
	struct stage st;
	unsigned long free;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT_EQ(t, get_page(st.r.page), 0);
	EXPECT_EQ(t, vm_object_remove(st.s.object, 1, 1), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(
	    t, page_word(st.r.page) & ~(PAGE_DIRTY | PAGE_REFERENCED), PAGE_WORD(1, PG_ISO_MIG, 0));
	free = memory_free_pages(st.s.mem);
	EXPECT_EQ(t, mem_put_page(st.s.mem, st.r.page), 0);
	EXPECT_EQ(t, memory_free_pages(st.s.mem), free + 1);
	stage_end(&st, -ENOENT);
}

/* A slot that was emptied and filled again has another page: the migrator must not touch it. */
KTEST(refilled_slot_is_left_alone)
{
	struct stage st;
	u64 value = 1;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	EXPECT_EQ(t, vm_object_remove(st.s.object, 1, 1), 0);
	EXPECT_EQ(t, vm_object_supply(st.s.object, 1, NULL), 0);
	race_migrate_end(t, &st.r, 1);
	REQUIRE(t, page_in(st.s.object, 1));
	EXPECT_EQ(t, word_ref(page_word(page_in(st.s.object, 1))), 1);
	soft_load_space(st.s.space);
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	EXPECT_EQ(t, value, 0);
	soft_unload_space();
	stage_end(&st, -ENOENT);
}

/* Drop all references to the object and the space but the migrator's, which is the last. */
static void destroy_at(struct ktest *t, const char *point)
{
	struct stage st;

	if (!stage_begin(t, &st, point))
		return;
	vm_space_put(st.s.space);
	EXPECT_EQ(t, st.s.object->refs, 2);
	vm_object_put(st.s.object);
	st.s.space = NULL;
	st.s.object = NULL;
	EXPECT(t, !LIST_EMPTY(&st.s.mem->vm.objects));
	expect_sound(t, st.s.mem);
	race_migrate_end(t, &st.r, 1);
	stage_end(&st, 0);
}

KTEST(object_destroyed_after_unmapping_is_freed_by_the_migrator)
{
	destroy_at(t, "mig.unmapped");
}

KTEST(object_destroyed_before_unmapping_is_freed_by_the_migrator)
{
	destroy_at(t, "mig.locked");
}

KTEST(object_destroyed_after_the_copy_is_freed_by_the_migrator)
{
	destroy_at(t, "mig.copied");
}

/* The page is removed before the migrator unmaps it: the migrator finds an empty slot. */
KTEST(page_removed_before_unmapping_is_not_migrated)
{
	struct stage st;

	if (!stage_begin(t, &st, "mig.locked"))
		return;
	EXPECT_EQ(t, vm_object_remove(st.s.object, 0, 4), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, vm_object_present(st.s.object), 0);
	stage_end(&st, -ENOENT);
}

/* The page is pinned after it was isolated and locked, but before it is unmapped. */
KTEST(page_pinned_before_unmapping_stays)
{
	struct stage st;
	struct page *pinned = NULL;

	if (!stage_begin(t, &st, "mig.locked"))
		return;
	EXPECT_EQ(t, vm_object_pin(st.s.object, 1, &pinned), 0);
	REQUIRE(t, pinned == st.r.page);
	race_migrate_end(t, &st.r, 1);
	EXPECT(t, page_in(st.s.object, 1) == pinned);
	EXPECT(t, !(page_word(pinned) & PAGE_LOCKED));
	expect_content(&st);
	mem_unpin_page(st.s.mem, pinned);
	stage_end(&st, -EBUSY);
}
