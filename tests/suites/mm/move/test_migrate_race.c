/* SPDX-License-Identifier: MIT */
/*
 * test_migrate_race.c: other threads use a page while it is being moved. The migrator is held
 * between two of its steps on CPU 1; other threads touch, unmap, protect or remove the page.
 */
#include "tests/lib/race_migrate.h"

KTEST_SUITE(migrate_race, KTEST_MOSTLY_INSIDE);

/* ---- accesses that wait ---- */

/* The migrator is held before the freeze. If a waiter held a reference, the freeze would fail. */
KTEST(waiters_on_an_entry_do_not_defeat_the_freeze)
{
	struct toucher w[WAITERS];
	struct stage st;
	unsigned nr;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT(t, pte_is_migration(pte_at(st.s.space, page_at(1))));
	nr = start_waiters(&st, w, st.s.space, page_at(1));
	/* The slot and the migrator have a reference each; the waiters have none. */
	EXPECT_EQ(t, word_ref(page_word(st.r.page)), 2);
	expect_sound(t, st.s.mem);
	race_migrate_end(t, &st.r, 1);
	join_waiters(&st, w, nr, stamp(1, 0, t->seed));
	EXPECT(t, page_in(st.s.object, 1) != st.r.page);
	expect_content(&st);
	stage_end(&st, 0);
}

KTEST(reader_after_the_freeze_waits_too)
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
KTEST(a_first_touch_waits_on_the_marker)
{
	struct toucher w[WAITERS];
	struct vm_space *other;
	struct stage st;
	unsigned nr;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	if (vm_space_create(st.s.mem, &other)) {
		race_migrate_end(t, &st.r, 1);
		REQUIRE(t, !"a second space");
	}
	EXPECT_EQ(t, vm_map(other, VM_BASE, 4, VM_READ, st.s.object, 0), 0);
	EXPECT_EQ(t, pte_at(other, page_at(1)), 0);
	nr = start_waiters(&st, w, other, page_at(1) + PAGE_SIZE - 8);
	race_migrate_end(t, &st.r, 1);
	join_waiters(&st, w, nr, stamp(1, 511, t->seed));
	vm_space_put(other);
	stage_end(&st, 0);
}

KTEST(page_under_migration_refuses_supply_pin_and_isolation)
{
	struct page *page = NULL;
	struct stage st;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	EXPECT_EQ(t, vm_object_supply(st.s.object, 1, NULL), -EAGAIN);
	EXPECT_EQ(t, vm_object_pin(st.s.object, 1, &page), -EAGAIN);
	EXPECT_EQ(t, isolate_lru_page(st.s.mem, stage_source(&st)), -EAGAIN);
	EXPECT_EQ(t, vm_object_present(st.s.object), 4);
	race_migrate_end(t, &st.r, 1);
	expect_content(&st);
	stage_end(&st, 0);
}

/* Waiters for another page of the same bucket continue to sleep. */
KTEST(only_waiters_of_this_page_are_woken)
{
	struct migwait other;
	struct stage st;
	struct page *far;

	if (!stage_begin(t, &st, "mig.unmapped"))
		return;
	/* Imitate the move of a page 64 pages away, in the same bucket. */
	far = pfn_to_page_in(st.s.mem,
	    stage_source(&st) >= st.s.mem->start_pfn + 64 ? stage_source(&st) - 64
	                                                  : stage_source(&st) + 64);
	atomic_or(&far->word, PAGE_LOCKED);
	migwait_queue(&other, st.s.mem, page_to_pfn_in(st.s.mem, far));
	race_migrate_end(t, &st.r, 1);
	EXPECT_EQ(t, other.woken, 0);
	EXPECT_EQ(t, migwait_waiting(st.s.mem), 1);
	migwait_wake(st.s.mem, other.pfn);
	EXPECT_EQ(t, other.woken, 1);
	atomic_and(&far->word, ~PAGE_LOCKED);
	stage_end(&st, 0);
}

/* ---- a CPU that has the page in its TLB ---- */

struct writer {
	struct vm_space *space;
	u32 ready, go; /* atomic */
	int tried;     /* the result of a write without a fault */
	int written;   /* the result of a write with a fault */
};

static void remember_then_write(void *arg)
{
	struct writer *w = arg;
	u64 value;

	soft_load_space(w->space);
	w->written = soft_read(page_at(1) + 64, &value);
	w->written = w->written ? w->written : soft_write(page_at(1) + 64, 1);
	store_release(&w->ready, 1u);
	SPIN_UNTIL(load_acquire(&w->go));
	w->tried = soft_try_write(page_at(1) + 64, 2);
	store_release(&w->ready, 2u);
	w->written = soft_write(page_at(1) + 64, 3);
	soft_unload_space();
}

/* A writer on CPU 2 has page 1 in its TLB; a migrator of the page is held at @point. */
static bool writer_begin(struct ktest *t, struct writer *w, struct vm_scene *s,
    struct race_migrate *r, const char *point)
{
	if (!ktest_needs_cpus(t, 3) || !scene_begin_filled(t, s, 2))
		return false;
	*w = (struct writer){.space = s->space, .tried = 1};
	ktest_start(2, remember_then_write, w);
	EXPECT(t, race_wait(&w->ready));
	*r = (struct race_migrate){.mem = s->mem, .page = page_in(s->object, 1), .point = point};
	EXPECT(t, race_migrate_start(r, 1));
	return true;
}

/* While the migrator is held, a write without a fault must fail. Then end writer and migrator. */
static void writer_end(struct ktest *t, struct writer *w, struct race_migrate *r)
{
	store_release(&w->go, 1u);
	EXPECT(t, SPIN_UNTIL(load_acquire(&w->ready) >= 2));
	EXPECT_EQ(t, w->tried, -EFAULT);
	race_migrate_end(t, r, 1);
	ktest_join(2);
}

/* The page is copied already: a write to the old page would be lost. */
KTEST(no_write_reaches_the_old_page_after_the_copy)
{
	struct race_migrate r;
	struct vm_scene s;
	struct writer w;
	u64 value = 0;

	if (!writer_begin(t, &w, &s, &r, "mig.copied"))
		return;
	writer_end(t, &w, &r);
	EXPECT_EQ(t, r.err, 0);
	EXPECT_EQ(t, w.written, 0);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(1) + 64, &value), 0);
	EXPECT_EQ(t, value, 3);
	soft_unload_space();
	scene_end(t, &s);
}

/*
 * The migrator has replaced the entry, but its shootdown is still to come: a change of the mapping
 * must flush the CPU's TLB entry itself. After @change the CPU may not write without a fault.
 */
static void change_before_the_shootdown(struct ktest *t, int (*change)(struct vm_scene *s), int err)
{
	struct race_migrate r;
	struct vm_scene s;
	struct writer w;

	if (!writer_begin(t, &w, &s, &r, "mig.entry_set"))
		return;
	EXPECT_EQ(t, change(&s), 0);
	writer_end(t, &w, &r);
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

KTEST(protect_does_not_wait_for_the_migrators_shootdown)
{
	change_before_the_shootdown(t, protect_all, -EACCES);
}

KTEST(unmap_does_not_wait_for_the_migrators_shootdown)
{
	change_before_the_shootdown(t, unmap_all_of_it, -EFAULT);
}

KTEST(removal_does_not_wait_for_the_migrators_shootdown)
{
	change_before_the_shootdown(t, remove_all, 0);
}

/* ---- a CPU that does not answer ---- */

struct deaf {
	struct vm_space *space;
	u32 ready, go; /* atomic */
	u32 errors;    /* atomic */
};

/* Load page 1 into the TLB, and serve no shootdown until released. */
static void be_deaf(void *arg)
{
	struct deaf *d = arg;
	irqflags_t flags;

	soft_load_space(d->space);
	if (soft_write(page_at(1), 1))
		counter_add(&d->errors, 1u);
	flags = arch_irq_save();
	store_release(&d->ready, 1u);
	SPIN_UNTIL(load_acquire(&d->go));
	arch_irq_restore(flags);
	soft_unload_space();
}

static void unmap_page_1(void *arg)
{
	struct deaf *d = arg;

	if (vm_unmap(d->space, page_at(1), 1))
		counter_add(&d->errors, 1u);
}

/*
 * The entry has been removed, but a CPU still writes to the page: the page must neither move nor be
 * freed.
 */
KTEST(unmap_keeps_its_page_until_the_shootdown_ends)
{
	struct deaf d = {.ready = 0};
	struct vm_scene s;
	struct page *page;
	int err;

	if (!ktest_needs_cpus(t, 3))
		return;
	if (!scene_begin_filled(t, &s, 2))
		return;
	d.space = s.space;
	ktest_start(2, be_deaf, &d);
	EXPECT(t, race_wait(&d.ready));
	page = page_in(s.object, 1);
	ktest_start(1, unmap_page_1, &d);
	EXPECT(t, SPIN_UNTIL(!pte_at(s.space, page_at(1)) || READ_ONCE(d.errors)));
	if (!READ_ONCE(d.errors)) {
		EXPECT_EQ(t, isolate_lru_page(s.mem, page_to_pfn_in(s.mem, page)), 0);
		err = race_migrate_try(s.mem, page);
		EXPECT_EQ(t, err, -EAGAIN);
		EXPECT(t, page_in(s.object, 1) == page);
		if (err)
			putback_lru_page(s.mem, page);
		else
			mem_put_page(s.mem, page);
	}
	store_release(&d.go, 1u);
	ktest_join(1);
	ktest_join(2);
	EXPECT_EQ(t, d.errors, 0);
	scene_end(t, &s);
}

/* ---- accessed and dirty bits ---- */

#define DIRTY_ROUNDS 128

struct scribe {
	struct vm_scene *s;
	u32 round; /* atomic: the round to write in */
	u32 done;  /* atomic: the last round that has ended */
};

static void write_in_each_round(void *arg)
{
	struct scribe *w = arg;
	u32 round;

	soft_load_space(w->s->space);
	for (round = 1; round <= DIRTY_ROUNDS; round++) {
		SPIN_UNTIL(load_acquire(&w->round) >= round);
		/* If the page-table entry is still there, the write sets the entry's D bit. */
		soft_try_write(page_at(1), round);
		store_release(&w->done, round);
	}
	soft_unload_space();
}

/* Move the page if it can be moved. */
static void move_page_1(struct vm_scene *s)
{
	struct page *page = page_in(s->object, 1);

	if (!page || isolate_lru_page(s->mem, page_to_pfn_in(s->mem, page)))
		return;
	if (race_migrate_try(s->mem, page))
		putback_lru_page(s->mem, page);
	else
		mem_put_page(s->mem, page);
}

/* Expect that each write finds no entry any more, or that the entry's D bit reaches the page. */
static void expect_noticed(struct ktest *t, bool move)
{
	struct scribe w = {.round = 0};
	struct vm_scene s;
	u32 round, turns, written = 0, moved = 0;

	if (!ktest_needs_cpus(t, 2))
		return;
	if (!scene_begin_filled(t, &s, 2))
		return;
	w.s = &s;
	ktest_start(1, write_in_each_round, &w);
	for (round = 1; round <= DIRTY_ROUNDS; round++) {
		const struct page *page;
		u64 value;

		EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), round == 1 ? -EEXIST : 0);
		EXPECT_EQ(t, vm_fault(s.space, page_at(1), VM_READ), 0);
		page = page_in(s.object, 1);
		store_release(&w.round, round);
		/* Wait a little longer in each round, so that some writes meet the change. */
		for (turns = round % 32 * 8; turns; turns--)
			cpu_relax();
		if (move) {
			move_page_1(&s);
			moved += page_in(s.object, 1) != page;
			page = page_in(s.object, 1);
			EXPECT(t, SPIN_UNTIL(load_acquire(&w.done) >= round));
		}
		EXPECT_EQ(t, vm_unmap(s.space, page_at(0), 2), 0);
		EXPECT(t, SPIN_UNTIL(load_acquire(&w.done) >= round));
		value = page ? READ_ONCE(*(u64 *)page_address_in(s.mem, page)) : 0;
		EXPECT(t, value == 0 || page_word(page) & PAGE_DIRTY);
		written += value != 0;
		EXPECT_EQ(t, vm_object_remove(s.object, 1, 1), 0);
		EXPECT_EQ(t, vm_map(s.space, page_at(0), 2, VM_RW, s.object, 0), 0);
	}
	ktest_join(1);
	printk("  # %u of %u writes came before the unmapping\n", written, DIRTY_ROUNDS);
	EXPECT(t, !move || moved > 0);
	scene_end(t, &s);
}

KTEST(every_write_during_unmapping_is_noticed)
{
	expect_noticed(t, false);
}

KTEST(every_write_during_migration_is_noticed)
{
	expect_noticed(t, true);
}

/* ---- the mapping changes ---- */

KTEST(a_page_unmapped_meanwhile_stays_unmapped)
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
	/* The content has moved to the new page. */
	EXPECT_EQ(t, vm_map(st.s.space, page_at(1), 2, VM_RW, st.s.object, 1), 0);
	expect_content(&st);
	stage_end(&st, 0);
}

KTEST(another_mapping_of_the_address_is_left_alone)
{
	struct vm_object *object;
	struct stage st;
	u64 value = 1;

	if (!stage_begin(t, &st, "mig.copied"))
		return;
	if (vm_object_create(st.s.mem, OBJ_ANON, 2, NULL, NULL, &object)) {
		race_migrate_end(t, &st.r, 1);
		REQUIRE(t, !"a second object");
	}
	if (vm_unmap(st.s.space, page_at(1), 2) ||
	    vm_map(st.s.space, page_at(1), 2, VM_RW, object, 0)) {
		race_migrate_end(t, &st.r, 1);
		REQUIRE(t, !"another mapping");
	}
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

/* A page that became read-only meanwhile comes back read-only. */
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

KTEST(permission_lost_before_the_copy_stays_lost)
{
	protect_at(t, "mig.unmapped");
}

KTEST(permission_lost_after_the_copy_stays_lost)
{
	protect_at(t, "mig.copied");
}

/* If the move fails, the old page comes back as read-only. */
KTEST(permission_lost_in_a_failed_migration_stays_lost)
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
