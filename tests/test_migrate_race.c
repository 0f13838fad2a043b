/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_race.c: what others do while a page is being moved.  The migrator is held between two of
 * its steps on CPU 1; others touch, unmap, protect, remove, destroy.
 */
#include "tests/race_migrate.h"

#define WAITERS 3 /* at most: one on each CPU from 2 on */

/* A scene of 4 written pages, and a migrator of the page in slot 1. */
struct stage {
	struct ktest *t;
	struct vm_scene s;
	struct race_migrate r;
};

static bool stage_begin(struct ktest *t, struct stage *st, const char *point)
{
	if (ktest_cpus() < 3) {
		ktest_skip(t, "needs 3 CPUs");
		return false;
	}
	*st = (struct stage){.t = t};
	if (!scene_begin(t, &st->s, 4))
		return false;
	soft_load_space(st->s.space);
	write_pages(t, 0, 4, t->seed);
	soft_unload_space();
	st->r = (struct race_migrate){
	    .mem = st->s.mem, .page = page_in(st->s.object, 1), .point = point};
	EXPECT(t, race_migrate_start(&st->r, 1));
	return true;
}

/* The move ends with @err; all has come back. */
static void stage_end(struct stage *st, int err)
{
	struct ktest *t = st->t;

	EXPECT_EQ(t, st->r.err, err);
	expect_sound(t, st->s.mem);
	scene_end(t, &st->s);
}

static pfn_t source(const struct stage *st)
{
	return page_to_pfn_in(st->s.mem, st->r.page);
}

static void expect_content(struct stage *st)
{
	soft_load_space(st->s.space);
	expect_pages(st->t, 0, 4, st->t->seed);
	soft_unload_space();
}

/* ---- who touches it waits ---- */

struct toucher {
	struct vm_space *space;
	uintptr_t va;
	u64 value;
	int err;
	u32 done; /* a */
};

static void touch(void *arg)
{
	struct toucher *w = arg;

	soft_load_space(w->space);
	w->err = soft_read(w->va, &w->value);
	soft_unload_space();
	store_release(&w->done, 1u);
}

/* Start a reader of @va on CPUs 2 and up; returns how many, once all of them wait. */
static unsigned start_waiters(struct stage *st, struct toucher *w, struct vm_space *space, uintptr_t va)
{
	unsigned nr = MIN(ktest_cpus() - 2, (unsigned)WAITERS), i, turn;

	for (i = 0; i < nr; i++) {
		w[i] = (struct toucher){.space = space, .va = va};
		ktest_start(2 + i, touch, &w[i]);
	}
	for (turn = 0; turn < RACE_TURNS && migwait_waiting(st->s.mem, source(st)) < nr; turn++)
		cpu_relax();
	EXPECT_EQ(st->t, migwait_waiting(st->s.mem, source(st)), nr);
	return nr;
}

static void join_waiters(struct stage *st, const struct toucher *w, unsigned nr, u64 value)
{
	struct ktest *t = st->t;
	unsigned i;

	for (i = 0; i < nr; i++) {
		ktest_join(2 + i);
		EXPECT_EQ(t, w[i].err, 0);
		EXPECT_EQ(t, w[i].value, value);
	}
	EXPECT_EQ(t, mm_event_sum(st->s.mem, EV_MIGWAIT_QUEUED), nr);
	EXPECT_EQ(t, mm_event_sum(st->s.mem, EV_MIGWAIT_WOKEN), nr);
	EXPECT_EQ(t, migwait_waiting(st->s.mem, source(st)), 0);
}

/* Between unmapping and freeze: a waiter with a reference would defeat the freeze. */
static void who_waits_on_an_entry_does_not_defeat_the_freeze(struct ktest *t)
{
	struct toucher w[WAITERS];
	struct stage st;
	unsigned nr;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT(t, pte_is_migration(pte_at(st.s.space, page_at(1))));
	nr = start_waiters(&st, w, st.s.space, page_at(1));
	/* The slot's reference and the migrator's; none of who waits. */
	EXPECT_EQ(t, word_ref(page_word(st.r.page)), 2);
	expect_sound(t, st.s.mem);
	race_migrate_end(t, &st.r, 1);
	join_waiters(&st, w, nr, stamp(1, 0, t->seed));
	EXPECT(t, page_in(st.s.object, 1) != st.r.page);
	expect_content(&st);
	stage_end(&st, 0);
}

static void who_comes_after_the_freeze_waits_too(struct ktest *t)
{
	struct toucher w[WAITERS];
	struct stage st;
	unsigned nr;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	EXPECT_EQ(t, word_ref(page_word(st.r.page)), 0);
	nr = start_waiters(&st, w, st.s.space, page_at(1));
	expect_sound(t, st.s.mem);
	race_migrate_end(t, &st.r, 1);
	join_waiters(&st, w, nr, stamp(1, 0, t->seed));
	stage_end(&st, 0);
}

/* A space that has no entry for the page finds the marker in the slot. */
static void a_first_touch_waits_on_the_marker(struct ktest *t)
{
	struct toucher w[WAITERS];
	struct vm_space *other;
	struct stage st;
	unsigned nr;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	REQUIRE(t, !vm_space_create(st.s.mem, &other));
	EXPECT_EQ(t, vm_map(other, VM_BASE, 4, VM_READ, st.s.object, 0), 0);
	EXPECT_EQ(t, pte_at(other, page_at(1)), 0);
	nr = start_waiters(&st, w, other, page_at(1) + PAGE_SIZE - 8);
	race_migrate_end(t, &st.r, 1);
	join_waiters(&st, w, nr, stamp(1, 511, t->seed));
	vm_space_put(other);
	stage_end(&st, 0);
}

static void other_ways_to_the_page_are_refused(struct ktest *t)
{
	struct page *page = NULL;
	struct stage st;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT_EQ(t, vm_object_supply(st.s.object, 1, NULL), -EAGAIN);
	EXPECT_EQ(t, vm_object_pin(st.s.object, 1, &page), -EAGAIN);
	EXPECT_EQ(t, isolate_lru_page(st.s.mem, source(&st)), -EAGAIN);
	EXPECT_EQ(t, vm_object_present(st.s.object), 4);
	race_migrate_end(t, &st.r, 1);
	expect_content(&st);
	stage_end(&st, 0);
}

/* Those who wait for another page of the same bucket sleep on. */
static void only_those_who_wait_for_the_page_are_woken(struct ktest *t)
{
	struct migwait other;
	struct stage st;
	struct page *far;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	/* As if a page 64 further were being moved; it is in nobody's hands here. */
	far = pfn_to_page_in(st.s.mem, source(&st) >= st.s.mem->start_pfn + 64 ? source(&st) - 64
	                                                                      : source(&st) + 64);
	atomic_or(&far->word, PAGE_LOCKED);
	migwait_queue(&other, st.s.mem, page_to_pfn_in(st.s.mem, far));
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, other.woken, 0);
	EXPECT_EQ(t, migwait_waiting(st.s.mem, other.pfn), 1);
	migwait_wake(st.s.mem, other.pfn);
	EXPECT_EQ(t, other.woken, 1);
	atomic_and(&far->word, ~PAGE_LOCKED);
	stage_end(&st, 0);
}

/* ---- a CPU that has the page in its TLB ---- */

struct writer {
	struct vm_space *space;
	u32 ready, go; /* a */
	int tried;     /* what a write without a fault said */
	int written;   /* and with one */
};

static void remember_then_write(void *arg)
{
	struct writer *w = arg;
	u64 value;

	soft_load_space(w->space);
	w->written = soft_read(page_at(1) + 64, &value);
	w->written = w->written ? w->written : soft_write(page_at(1) + 64, 1);
	store_release(&w->ready, 1u);
	while (!load_acquire(&w->go))
		cpu_relax();
	w->tried = soft_try_write(page_at(1) + 64, 2);
	store_release(&w->ready, 2u);
	w->written = soft_write(page_at(1) + 64, 3);
	soft_unload_space();
}

/* Copied already: what is written to the old page now is lost. */
static void nothing_is_written_behind_the_copy(struct ktest *t)
{
	struct writer w = {.tried = 1};
	struct vm_scene s;
	struct race_migrate r;
	u64 value = 0;

	if (ktest_cpus() < 3) {
		ktest_skip(t, "needs 3 CPUs");
		return;
	}
	if (!scene_begin(t, &s, 2))
		return;
	w.space = s.space;
	ktest_start(2, remember_then_write, &w);
	EXPECT(t, race_wait(&w.ready));
	r = (struct race_migrate){.mem = s.mem, .page = page_in(s.object, 1), .point = "mig.copied"};
	EXPECT(t, race_migrate_start(&r, 1));
	store_release(&w.go, 1u);
	while (load_acquire(&w.ready) < 2)
		cpu_relax();
	EXPECT_EQ(t, w.tried, -EFAULT);
	race_migrate_end(t, &r, 1);
	ktest_join(2);
	EXPECT_EQ(t, r.err, 0);
	EXPECT_EQ(t, w.written, 0);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(1) + 64, &value), 0);
	EXPECT_EQ(t, value, 3);
	soft_unload_space();
	scene_end(t, &s);
}

/*
 * The migrator has replaced the entry, but its shootdown is still to come: who changes the mapping
 * meanwhile has to make the CPU forget it.  After @change it may not write without a fault.
 */
static void change_before_the_shootdown(struct ktest *t, int (*change)(struct vm_scene *s), int err)
{
	struct writer w = {.tried = 1};
	struct race_migrate r;
	struct vm_scene s;

	if (ktest_cpus() < 3) {
		ktest_skip(t, "needs 3 CPUs");
		return;
	}
	if (!scene_begin(t, &s, 2))
		return;
	w.space = s.space;
	ktest_start(2, remember_then_write, &w);
	EXPECT(t, race_wait(&w.ready));
	r = (struct race_migrate){.mem = s.mem, .page = page_in(s.object, 1), .point = "mig.entry_set"};
	EXPECT(t, race_migrate_start(&r, 1));
	EXPECT_EQ(t, change(&s), 0);
	store_release(&w.go, 1u);
	while (load_acquire(&w.ready) < 2)
		cpu_relax();
	EXPECT_EQ(t, w.tried, -EFAULT);
	race_migrate_end(t, &r, 1);
	ktest_join(2);
	EXPECT_EQ(t, w.written, err);
	scene_end(t, &s);
}

static int protect_all(struct vm_scene *s)
{
	return vm_protect(s->space, VM_BASE, 2, VM_READ);
}

static int unmap_all_of_it(struct vm_scene *s)
{
	return vm_unmap(s->space, VM_BASE, 2);
}

static int remove_all(struct vm_scene *s)
{
	return vm_object_remove(s->object, 0, 2);
}

static void a_protection_does_not_wait_for_the_migrators_shootdown(struct ktest *t)
{
	change_before_the_shootdown(t, protect_all, -EACCES);
}

static void nor_does_an_unmapping(struct ktest *t)
{
	change_before_the_shootdown(t, unmap_all_of_it, -EFAULT);
}

static void nor_does_a_removal(struct ktest *t)
{
	change_before_the_shootdown(t, remove_all, 0);
}

/* ---- the mapping changes ---- */

static void a_page_unmapped_meanwhile_stays_unmapped(struct ktest *t)
{
	struct stage st;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT_EQ(t, vm_unmap(st.s.space, page_at(1), 2), 0);
	EXPECT_EQ(t, pte_at(st.s.space, page_at(1)), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, pte_at(st.s.space, page_at(1)), 0);
	EXPECT_EQ(t, page_in(st.s.object, 1)->mapcount, 0);
	EXPECT_EQ(t, word_ref(page_word(page_in(st.s.object, 1))), 1);
	/* The content has moved all the same. */
	EXPECT_EQ(t, vm_map(st.s.space, page_at(1), 2, VM_RW, st.s.object, 1), 0);
	expect_content(&st);
	stage_end(&st, 0);
}

static void another_mapping_of_the_address_is_left_alone(struct ktest *t)
{
	struct vm_object *object;
	struct stage st;
	u64 value = 1;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	REQUIRE(t, !vm_object_create(st.s.mem, OBJ_ANON, 2, NULL, NULL, &object));
	EXPECT_EQ(t, vm_unmap(st.s.space, page_at(1), 2), 0);
	EXPECT_EQ(t, vm_map(st.s.space, page_at(1), 2, VM_RW, object, 0), 0);
	soft_load_space(st.s.space);
	EXPECT_EQ(t, soft_write(page_at(1), 77), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	EXPECT_EQ(t, value, 77);
	soft_unload_space();
	EXPECT_EQ(t, page_in(st.s.object, 1)->mapcount, 0);
	vm_object_put(object);
	stage_end(&st, 0);
}

/* What may not be written any more when it comes back may not be written. */
static void protect_at(struct ktest *t, const char *point)
{
	struct stage st;

	if (!stage_begin(t, &st, point))
		return;
	EXPECT_EQ(t, vm_protect(st.s.space, page_at(0), 4, VM_READ), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, pte_at(st.s.space, page_at(1)) & (PTE_PRESENT | PTE_WRITE), PTE_PRESENT);
	soft_load_space(st.s.space);
	EXPECT_EQ(t, soft_write(page_at(1), 1), -EACCES);
	soft_unload_space();
	expect_content(&st);
	stage_end(&st, 0);
}

static void a_lost_permission_is_not_resurrected(struct ktest *t)
{
	protect_at(t, "mig.unmapped");
}

static void nor_after_the_copy(struct ktest *t)
{
	protect_at(t, "mig.copied");
}

/* And if the move fails, the old page comes back as read-only. */
static void nor_by_a_move_that_fails(struct ktest *t)
{
	struct stage st;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT_EQ(t, get_page(st.r.page), 0);
	EXPECT_EQ(t, vm_protect(st.s.space, page_at(0), 4, VM_READ), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT(t, page_in(st.s.object, 1) == st.r.page);
	EXPECT_EQ(t, pte_at(st.s.space, page_at(1)) & (PTE_PRESENT | PTE_WRITE), PTE_PRESENT);
	EXPECT_EQ(t, word_state(page_word(st.r.page)), PG_LRU);
	EXPECT_EQ(t, mem_put_page(st.s.mem, st.r.page), 0);
	expect_content(&st);
	stage_end(&st, -EAGAIN);
}

/* ---- the page, or its object, goes ---- */

static void a_removed_page_is_not_brought_back(struct ktest *t)
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
	/* A new page, zeroed: the copy has been dropped, and the old one. */
	join_waiters(&st, w, nr, 0);
	EXPECT_EQ(t, vm_object_present(st.s.object), 4);
	stage_end(&st, -ENOENT);
}

static void a_page_removed_and_in_use_is_freed_by_its_user(struct ktest *t)
{
	struct stage st;
	unsigned long free;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT_EQ(t, get_page(st.r.page), 0);
	EXPECT_EQ(t, vm_object_remove(st.s.object, 1, 1), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, page_word(st.r.page) & ~(PAGE_DIRTY | PAGE_REFERENCED),
	    PAGE_WORD(1, PG_ISO_MIG, 0));
	free = memory_free_pages(st.s.mem);
	EXPECT_EQ(t, mem_put_page(st.s.mem, st.r.page), 0);
	EXPECT_EQ(t, memory_free_pages(st.s.mem), free + 1);
	stage_end(&st, -ENOENT);
}

/* A slot that was emptied and filled again holds another page: none of the migrator's business. */
static void a_slot_filled_anew_is_left_alone(struct ktest *t)
{
	struct stage st;
	u64 value = 1;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	EXPECT_EQ(t, vm_object_remove(st.s.object, 1, 1), 0);
	EXPECT_EQ(t, vm_object_supply(st.s.object, 1, NULL), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, word_ref(page_word(page_in(st.s.object, 1))), 1);
	soft_load_space(st.s.space);
	EXPECT_EQ(t, soft_read(page_at(1), &value), 0);
	EXPECT_EQ(t, value, 0);
	soft_unload_space();
	stage_end(&st, -ENOENT);
}

/* Everybody else lets go of object and space: the migrator's reference is the last. */
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

static void an_object_destroyed_meanwhile_goes_with_its_migrator(struct ktest *t)
{
	destroy_at(t, "mig.unmapped");
}

static void or_before_it_unmaps(struct ktest *t)
{
	destroy_at(t, "mig.locked");
}

static void or_after_it_has_copied(struct ktest *t)
{
	destroy_at(t, "mig.copied");
}

/* Removed before the migrator has unmapped it: it finds another page, or none. */
static void a_page_removed_before_it_is_unmapped_is_let_go(struct ktest *t)
{
	struct stage st;

	if (!stage_begin(t, &st, "mig.locked"))
		return;
	EXPECT_EQ(t, vm_object_remove(st.s.object, 0, 4), 0);
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, vm_object_present(st.s.object), 0);
	stage_end(&st, -ENOENT);
}

/* Pinned after it was isolated and locked, before it is unmapped. */
static void a_page_pinned_before_it_is_unmapped_stays(struct ktest *t)
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

KTEST_SUITE(migrate_race, 0, KTEST(who_waits_on_an_entry_does_not_defeat_the_freeze),
    KTEST(who_comes_after_the_freeze_waits_too), KTEST(a_first_touch_waits_on_the_marker),
    KTEST(other_ways_to_the_page_are_refused), KTEST(only_those_who_wait_for_the_page_are_woken),
    KTEST(nothing_is_written_behind_the_copy),
    KTEST(a_protection_does_not_wait_for_the_migrators_shootdown), KTEST(nor_does_an_unmapping),
    KTEST(nor_does_a_removal), KTEST(a_page_unmapped_meanwhile_stays_unmapped),
    KTEST(another_mapping_of_the_address_is_left_alone),
    KTEST(a_lost_permission_is_not_resurrected), KTEST(nor_after_the_copy),
    KTEST(nor_by_a_move_that_fails),
    KTEST(a_removed_page_is_not_brought_back), KTEST(a_page_removed_and_in_use_is_freed_by_its_user),
    KTEST(a_slot_filled_anew_is_left_alone),
    KTEST(an_object_destroyed_meanwhile_goes_with_its_migrator), KTEST(or_before_it_unmaps),
    KTEST(or_after_it_has_copied),
    KTEST(a_page_removed_before_it_is_unmapped_is_let_go),
    KTEST(a_page_pinned_before_it_is_unmapped_stays));
