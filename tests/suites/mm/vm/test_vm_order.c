/* SPDX-License-Identifier: MIT */
/*
 * test_vm_order.c: changes of objects and spaces step by step, and the state that other threads
 * find in between. Hosted only.
 */
#include "tests/host/moment.h"
#include "tests/lib/vm_help.h"
#include <quarry/account.h>

/* ---- the scene ---- */

static struct vm_scene s;
static struct ktest *now;

/* An object of four pages, with an entry for the first page. */
static bool begin(struct ktest *t)
{
	now = t;
	if (!scene_begin(t, &s, 4))
		return false;
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	return page_in(s.object, 0);
}

/* @call returns @err, and @then was called at point @name. */
#define STOPS(t, name, then, call, err) EXPECT_AT(t, call, err, .point = (name), .act = (then))

static bool nobody_shows_it(void)
{
	return RB_EMPTY(&s.object->regions);
}

KTEST_SUITE(vm_order, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- other threads in between ---- */

static u32 refs_of(u32 index)
{
	return word_ref(page_word(page_in(s.object, index)));
}

static void a_hidden_region(void)
{
	EXPECT_EQ(now, vm_fault(s.space, page_at(1), VM_READ), -EFAULT);
	EXPECT_EQ(now, s.space->nr_regions, 0);
	EXPECT(now, !nobody_shows_it());
	EXPECT_EQ(now, page_in(s.object, 0)->mapcount, 1);
	EXPECT(now, pte_at(s.space, page_at(0)));
}

/* The entry is gone, but another CPU may have it in its TLB. */
static void an_entry_to_forget(void)
{
	EXPECT_EQ(now, pte_at(s.space, page_at(0)), 0);
	EXPECT_EQ(now, page_in(s.object, 0)->mapcount, 0);
	EXPECT_EQ(now, refs_of(0), 2);
	EXPECT_EQ(now, s.mem->vm.flushing, 1);
}

static void a_cleared_region(void)
{
	EXPECT_EQ(now, refs_of(0), 1);
	EXPECT_EQ(now, s.mem->vm.flushing, 0);
	EXPECT(now, !nobody_shows_it());
	EXPECT_EQ(now, s.object->refs, 2);
}

KTEST(unmap_works_in_bounded_steps)
{
	static const struct {
		const char *point;
		void (*look)(void);
	} steps[] = {{"unmap.hidden", a_hidden_region}, {"region.changed", an_entry_to_forget},
	    {"unmap.cleared", a_cleared_region}};
	unsigned i;

	if (!begin(t))
		return;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		STOPS(t, steps[i].point, steps[i].look, vm_unmap(s.space, VM_BASE, 4), 0);
		EXPECT(t, nobody_shows_it());
		EXPECT_EQ(t, s.object->refs, 1);
		EXPECT_EQ(t, vm_map(s.space, VM_BASE, 4, VM_RW, s.object, 0), 0);
		EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	}
	scene_end(t, &s);
}

#define MANY 300 /* pages, in pieces of 128 */

static void unmap_the_second_piece(void)
{
	EXPECT_EQ(now, vm_unmap(s.space, page_at(128), 128), 0);
}

/* The lock of the space is free between the pieces. */
KTEST(pages_are_counted_piece_by_piece)
{
	now = t;
	if (!scene_begin(t, &s, MANY))
		return;
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_READ), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(128), VM_READ), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(MANY - 1), VM_READ), 0);
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 3);
	STOPS(t, "space.counted", unmap_the_second_piece,
	    vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 2);
	scene_end(t, &s);
}

static void move_a_region_up(void)
{
	unsigned long from = 6 + 2 * moment.acted;

	EXPECT_EQ(now, vm_unmap(s.space, page_at(from), 1), 0);
	EXPECT_EQ(now, vm_map(s.space, page_at(from + 2), 1, VM_RW, s.object, 0), 0);
	moment.always = moment.acted < 1000;
}

/* There are two regions, and each page table has entries for four pieces. */
KTEST(counting_ends_though_a_region_moves_ahead_of_it)
{
	if (!begin(t))
		return;
	EXPECT_EQ(t, vm_map(s.space, page_at(8), 1, VM_RW, s.object, 0), 0);
	EXPECT_EQ(t,
	    AT(vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), .point = "space.counted",
	        .always = true, .act = move_a_region_up),
	    1);
	EXPECT_EQ(t, moment.acted, 2 * (2 + 4 * PT_LEVELS));
	scene_end(t, &s);
}

/* No new write is allowed, though a CPU with a stale entry may still write. */
static void a_lower_protection(void)
{
	EXPECT_EQ(now, vm_fault(s.space, page_at(0), VM_WRITE), -EACCES);
	EXPECT(now, pte_at(s.space, page_at(0)) & PTE_WRITE);
}

static void write_it(void)
{
	EXPECT_EQ(now, vm_fault(s.space, page_at(0), VM_WRITE), 0);
	EXPECT(now, pte_at(s.space, page_at(0)) & PTE_WRITE);
}

static void execute_it(void)
{
	EXPECT_EQ(now, vm_fault(s.space, page_at(0), VM_EXEC), 0);
	EXPECT(now, !(pte_at(s.space, page_at(0)) & PTE_NX));
}

/* Added rights may be used before other rights are removed, and stay when those are removed. */
KTEST(protect_removes_only_forbidden_access)
{
	if (!begin(t))
		return;
	STOPS(t, "protect.set", execute_it, vm_protect(s.space, VM_BASE, 1, VM_READ | VM_EXEC), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(0)) & (PTE_WRITE | PTE_NX), 0);
	STOPS(t, "protect.set", write_it, vm_protect(s.space, VM_BASE, 1, VM_RW), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(0)) & (PTE_WRITE | PTE_NX), PTE_WRITE | PTE_NX);
	scene_end(t, &s);
}

static struct page *removed;

static void a_removed_page(void)
{
	EXPECT(now, !vm_object_has(s.object, 0));
	EXPECT_EQ(now, pte_at(s.space, page_at(0)), 0);
	EXPECT_EQ(now, vm_object_present(s.object), 0);
	EXPECT_EQ(now, word_ref(page_word(removed)), 1);
	EXPECT_EQ(now, s.mem->vm.flushing, 1);
}

KTEST(removed_pages_are_kept_until_the_shootdown)
{
	unsigned long free;

	if (!begin(t))
		return;
	STOPS(t, "protect.set", a_lower_protection, vm_protect(s.space, VM_BASE, 1, VM_READ), 0);
	EXPECT_EQ(t, pte_at(s.space, page_at(0)) & PTE_WRITE, 0);
	removed = page_in(s.object, 0);
	free = memory_free_pages(s.mem);
	STOPS(t, "remove.emptied", a_removed_page, vm_object_remove(s.object, 0, 4), 0);
	EXPECT_EQ(t, memory_free_pages(s.mem), free + 1);
	scene_end(t, &s);
}

static bool writable(unsigned long nr)
{
	return soft_try_write(page_at(nr), 1) == 0;
}

/* Of the two regions that show the page, the walk has emptied one so far. */
static void unmap_the_emptied_region(void)
{
	unsigned long nr = pte_at(s.space, page_at(0)) ? 8 : 0;

	EXPECT_EQ(now, pte_at(s.space, page_at(nr)), 0);
	EXPECT(now, pte_at(s.space, page_at(8 - nr)));
	EXPECT(now, writable(nr)); /* by the TLB */
	EXPECT_EQ(now, vm_unmap(s.space, page_at(nr), 1), 0);
	EXPECT(now, !writable(nr));
}

/* The removal makes its shootdown at the end of its walk; an unmapping does not rely on it. */
KTEST(unmap_flushes_what_a_removal_has_emptied)
{
	u32 at_once;

	if (!begin(t))
		return;
	EXPECT_EQ(t, vm_map(s.space, page_at(8), 1, VM_RW, s.object, 0), 0);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_write(page_at(0), 1), 0);
	EXPECT_EQ(t, soft_write(page_at(8), 1), 0);
	at_once = s.mem->vm.at_once;
	s.mem->vm.at_once = 1;
	STOPS(t, "rmap.pause", unmap_the_emptied_region, vm_object_remove(s.object, 0, 1), 0);
	s.mem->vm.at_once = at_once;
	EXPECT(t, !writable(0) && !writable(8));
	EXPECT_EQ(t, s.object->unflushed, 0);
	soft_unload_space();
	scene_end(t, &s);
}

/* ---- another thread was first ---- */

static void supply_it(void)
{
	EXPECT_EQ(now, vm_object_supply(s.object, 1, NULL), 0);
}

static void lose_it(void)
{
	spin_lock(&s.object->lock);
	*object_slot(s.object, 1) = SLOT_LOST;
	spin_unlock(&s.object->lock);
}

static void mark_it(void)
{
	spin_lock(&s.object->lock);
	*object_slot(s.object, 1) = slot_marker(s.mem->start_pfn);
	spin_unlock(&s.object->lock);
}

static void unmark_it(void)
{
	spin_lock(&s.object->lock);
	*object_slot(s.object, 1) = 0;
	spin_unlock(&s.object->lock);
}

/* The page allocated for the slot is freed, whatever the slot holds by then. */
KTEST(a_slot_is_filled_once)
{
	struct page *page;
	unsigned long free;

	if (!begin(t))
		return;
	free = memory_free_pages(s.mem);
	STOPS(t, "supply.page", lose_it, vm_object_supply(s.object, 1, NULL), -EHWPOISON);
	EXPECT_EQ(t, vm_object_present(s.object), 1);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_MOVABLE), 1);
	EXPECT_EQ(t, vm_object_remove(s.object, 1, 1), 0);
	EXPECT(t, !vm_object_has(s.object, 1));
	EXPECT_EQ(t, vm_object_present(s.object), 1);
	STOPS(t, "supply.page", mark_it, vm_object_supply(s.object, 1, NULL), -EAGAIN);
	EXPECT(t, vm_object_has(s.object, 1));
	EXPECT_EQ(t, vm_object_pin(s.object, 1, &page), -EAGAIN);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_MOVABLE), 1);
	unmark_it();
	EXPECT_EQ(t, memory_free_pages(s.mem), free);
	STOPS(t, "supply.page", supply_it, vm_object_supply(s.object, 1, NULL), -EEXIST);
	EXPECT_EQ(t, memory_free_pages(s.mem), free - 1);
	EXPECT_EQ(t, vm_object_present(s.object), 2);
	scene_end(t, &s);
}

static void prepare_it(void)
{
	EXPECT_EQ(now, object_prepare(s.object, 513, 0), 0);
}

KTEST(a_table_of_slots_is_brought_once)
{
	struct counts before, after;
	unsigned long free;

	now = t;
	if (!scene_begin(t, &s, 600))
		return;
	free = memory_free_pages(s.mem);
	counts_read(&before);
	STOPS(t, "obj.leaf", prepare_it, object_prepare(s.object, 512, 0), 0);
	counts_read(&after);
	EXPECT_EQ(t, memory_free_pages(s.mem), free - 1);
	EXPECT_EQ(t, after.kind[ACCOUNT_SLOTS] - before.kind[ACCOUNT_SLOTS], 1);
	scene_end(t, &s);
}

/* ---- state when a fault is ready ---- */

static struct vm_object *other;

static void unmap_it(void)
{
	EXPECT_EQ(now, vm_unmap(s.space, page_at(1), 1), 0);
}

static void show_another_slot(void)
{
	unmap_it();
	EXPECT_EQ(now, vm_map(s.space, page_at(1), 1, VM_RW, s.object, 2), 0);
}

static void show_another_object(void)
{
	unmap_it();
	EXPECT_EQ(now, vm_map(s.space, page_at(1), 1, VM_RW, other, 1), 0);
}

static void forbid_it(void)
{
	EXPECT_EQ(now, vm_protect(s.space, page_at(1), 1, VM_READ), 0);
}

static void touch_it(void)
{
	EXPECT_EQ(now, vm_fault(s.space, page_at(1), VM_WRITE), 0);
}

/* A fault that is too late maps no page, returns 0, and frees its page. */
KTEST(fault_that_is_too_late_maps_nothing)
{
	static void (*const meanwhile[])(void) = {
	    show_another_slot, show_another_object, unmap_it, forbid_it};
	unsigned long free;
	unsigned i;

	if (!begin(t))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_ANON, 4, NULL, NULL, &other));
	free = memory_free_pages(s.mem);
	for (i = 0; i < ARRAY_SIZE(meanwhile); i++) {
		STOPS(t, "fault.ready", meanwhile[i], vm_fault(s.space, page_at(1), VM_WRITE), 0);
		EXPECT_EQ(t, pte_at(s.space, page_at(1)), 0);
		EXPECT_EQ(t, memory_free_pages(s.mem), free);
		EXPECT_EQ(t, vm_object_present(s.object), 1);
		EXPECT_EQ(t, other->refs, i == 1 ? 2 : 1);
		EXPECT_EQ(t, s.object->refs, i == 1 || i == 2 ? 3 : 4);
		unmap_it();
		EXPECT_EQ(t, vm_map(s.space, page_at(1), 1, VM_RW, s.object, 1), 0);
	}
	STOPS(t, "fault.ready", touch_it, vm_fault(s.space, page_at(1), VM_WRITE), 0);
	EXPECT_EQ(t, memory_free_pages(s.mem), free - 1);
	EXPECT_EQ(t, page_in(s.object, 1)->mapcount, 1);
	vm_object_put(other);
	scene_end(t, &s);
}
