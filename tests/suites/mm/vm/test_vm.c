/* SPDX-License-Identifier: MIT */
/*
 * test_vm.c: objects, spaces and faults: pages are mapped, touched, unmapped and destroyed, and
 * every page comes back.  Refused calls are in test_vm_bad.c.
 */
#include "tests/lib/vm_help.h"
#include "tests/lib/wait_help.h"

KTEST_SUITE(vm, KTEST_QUICK);

KTEST(first_touch_gives_a_zeroed_page)
{
	struct vm_scene s;
	struct page *page;
	u64 value = 1;

	if (!scene_begin(t, &s, 4))
		return;
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	soft_load_space(s.space);
	EXPECT_EQ(t, soft_read(page_at(2) + 8, &value), 0);
	EXPECT_EQ(t, value, 0);
	soft_unload_space();
	EXPECT_EQ(t, vm_object_present(s.object), 1);
	page = NEED(t, page_in(s.object, 2));
	EXPECT_EQ(t, page_word(page), PAGE_WORD(2, PG_LRU, 0) | PAGE_REFERENCED);
	EXPECT_EQ(t, page->mapcount, 1);
	EXPECT(t, page->owner == s.object);
	EXPECT_EQ(t, page->index, 2);
	EXPECT_EQ(t, zone_of(s.mem, page_to_pfn_in(s.mem, page))->kind, ZONE_MOVABLE);
	EXPECT_EQ(t, pte_pfn(pte_at(s.space, page_at(2))), page_to_pfn_in(s.mem, page));
	EXPECT_EQ(t, pte_at(s.space, page_at(1)), 0);
	EXPECT_EQ(t, s.space->pt.nr_tables, PT_LEVELS);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULTS), 1);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_FAULT_NEW), 1);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(written_data_is_read_back)
{
	const uintptr_t far = VM_USER_END - 64 * PAGE_SIZE;
	struct vm_scene s;
	u64 value = 0;

	if (!scene_begin(t, &s, 64))
		return;
	/* Map the same pages again, at the far end of the addresses, below the same top table. */
	EXPECT_EQ(t, vm_map(s.space, far, 64, VM_RW, s.object, 0), 0);
	soft_load_space(s.space);
	write_pages(t, 0, 64, t->seed);
	expect_pages(t, 0, 64, t->seed);
	EXPECT_EQ(t, soft_read(far + 5 * PAGE_SIZE, &value), 0);
	EXPECT_EQ(t, value, stamp(5, 0, t->seed));
	EXPECT_EQ(t, soft_write(far + 5 * PAGE_SIZE, 7), 0);
	EXPECT_EQ(t, soft_read(page_at(5), &value), 0);
	EXPECT_EQ(t, value, 7);
	soft_unload_space();
	REQUIRE(t, pages_there(&s, 64));
	EXPECT_EQ(t, page_in(s.object, 5)->mapcount, 2);
	EXPECT_EQ(t, page_in(s.object, 6)->mapcount, 1);
	EXPECT_EQ(t, s.space->pt.nr_tables, 2 * PT_LEVELS - 1);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(an_object_is_shared_by_two_spaces)
{
	struct vm_space *other;
	struct vm_scene s;
	u64 value = 0;

	if (!scene_begin(t, &s, 8))
		return;
	REQUIRE(t, !vm_space_create(s.mem, &other));
	/* Map the upper half of the object at another address. */
	EXPECT_EQ(t, vm_map(other, VM_BASE + 0x10000000, 4, VM_READ, s.object, 4), 0);
	soft_load_space(s.space);
	write_pages(t, 0, 8, 1);
	soft_unload_space();
	soft_load_space(other);
	EXPECT_EQ(t, soft_read(VM_BASE + 0x10000000 + PAGE_SIZE, &value), 0);
	EXPECT_EQ(t, value, stamp(5, 0, 1));
	EXPECT_EQ(t, soft_read(page_at(5), &value), -EFAULT);
	soft_unload_space();
	REQUIRE(t, pages_there(&s, 8));
	EXPECT_EQ(t, page_in(s.object, 5)->mapcount, 2);
	EXPECT_EQ(t, word_ref(page_word(page_in(s.object, 5))), 3);
	/* Destroying one space does not affect the other. */
	vm_space_put(other);
	EXPECT_EQ(t, page_in(s.object, 5)->mapcount, 1);
	soft_load_space(s.space);
	expect_pages(t, 0, 8, 1);
	soft_unload_space();
	scene_end(t, &s);
}

KTEST(an_object_outlives_its_mapping)
{
	struct vm_scene s;
	unsigned long in_use;

	if (!scene_begin(t, &s, 6))
		return;
	soft_load_space(s.space);
	write_pages(t, 0, 6, 3);
	in_use = memory_free_pages(s.mem);
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 6), 0);
	EXPECT_EQ(t, soft_try_write(page_at(0), 1), -EFAULT);
	EXPECT_EQ(t, soft_write(page_at(0), 1), -EFAULT);
	EXPECT_EQ(t, memory_free_pages(s.mem), in_use);
	EXPECT_EQ(t, vm_object_present(s.object), 6);
	REQUIRE(t, pages_there(&s, 6));
	EXPECT_EQ(t, page_in(s.object, 0)->mapcount, 0);
	EXPECT_EQ(t, vm_map(s.space, VM_BASE, 6, VM_RW, s.object, 0), 0);
	expect_pages(t, 0, 6, 3);
	soft_unload_space();
	/* The creator drops the object too: the region still holds it. */
	vm_object_put(s.object);
	s.object = NULL;
	soft_load_space(s.space);
	expect_pages(t, 0, 6, 3);
	soft_unload_space();
	scene_end(t, &s);
}

KTEST(a_region_is_cut_by_an_unmap)
{
	struct vm_scene s;
	u64 value;

	if (!scene_begin(t, &s, 12))
		return;
	soft_load_space(s.space);
	write_pages(t, 0, 12, 9);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(4), 3), 0);
	EXPECT_EQ(t, s.space->nr_regions, 2);
	expect_pages(t, 0, 4, 9);
	EXPECT_EQ(t, soft_read(page_at(4), &value), -EFAULT);
	EXPECT_EQ(t, soft_read(page_at(6), &value), -EFAULT);
	expect_pages(t, 7, 12, 9);
	/* Unmap the hole again; then a range that also covers a page of the region on each side. */
	EXPECT_EQ(t, vm_unmap(s.space, page_at(4), 3), 0);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(3), 5), 0);
	EXPECT_EQ(t, s.space->nr_regions, 2);
	expect_pages(t, 0, 3, 9);
	expect_pages(t, 8, 12, 9);
	/* The rest of a cut region still shows the same pages. */
	EXPECT_EQ(t, vm_map(s.space, page_at(3), 5, VM_RW, s.object, 3), 0);
	expect_pages(t, 0, 12, 9);
	soft_unload_space();
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/*
 * Entries of three tables change: all of the first two and one of the third.  The tables are made
 * in another order than that of their addresses.
 */
KTEST_INSIDE(change_ends_with_its_range_in_each_table)
{
	static const unsigned touched[] = {512, 1024, 1025, 511};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 3 * 512))
		return;
	for (i = 0; i < ARRAY_SIZE(touched); i++)
		EXPECT_EQ(t, vm_fault(s.space, page_at(touched[i]), VM_WRITE), 0);
	EXPECT_EQ(t, vm_protect(s.space, VM_BASE, 1025, VM_READ), 0);
	for (i = 0; i < ARRAY_SIZE(touched); i++)
		EXPECT_EQ(
		    t, !(pte_at(s.space, page_at(touched[i])) & PTE_WRITE), touched[i] < 1025);
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 1025), 0);
	for (i = 0; i < ARRAY_SIZE(touched); i++)
		EXPECT_EQ(t, !pte_at(s.space, page_at(touched[i])), touched[i] < 1025);
	EXPECT_EQ(t, vm_space_resident(s.space, ZONE_MOVABLE, NULL, NULL), 1);
	scene_end(t, &s);
}

KTEST(protection_is_enforced_at_once, KTEST_SLOW)
{
	struct vm_scene s;
	u64 value = 0;

	if (!scene_begin(t, &s, 6))
		return;
	soft_load_space(s.space);
	write_pages(t, 0, 6, 2);
	EXPECT_EQ(t, soft_exec(page_at(1)), -EACCES);
	/* The entry is in the TLB, marked dirty: without a shootdown the write would succeed. */
	EXPECT_EQ(t, vm_protect(s.space, page_at(2), 2, VM_READ), 0);
	EXPECT_EQ(t, s.space->nr_regions, 3);
	EXPECT_EQ(t, soft_try_write(page_at(2), 1), -EFAULT);
	EXPECT_EQ(t, soft_write(page_at(2), 1), -EACCES);
	EXPECT_EQ(t, soft_write(page_at(3), 1), -EACCES);
	EXPECT_EQ(t, soft_try_write(page_at(1), stamp(1, 0, 2)), 0);
	EXPECT_EQ(t, soft_try_write(page_at(4), stamp(4, 0, 2)), 0);
	expect_pages(t, 0, 6, 2);
	EXPECT_EQ(t, vm_protect(s.space, page_at(3), 1, VM_READ | VM_EXEC), 0);
	EXPECT_EQ(t, soft_exec(page_at(3)), 0);
	EXPECT_EQ(t, soft_exec(page_at(2)), -EACCES);
	EXPECT_EQ(t, vm_protect(s.space, page_at(0), 6, VM_RW), 0);
	EXPECT_EQ(t, soft_exec(page_at(3)), -EACCES);
	EXPECT_EQ(t, soft_write(page_at(2), 8), 0);
	EXPECT_EQ(t, soft_read(page_at(2), &value), 0);
	EXPECT_EQ(t, value, 8);
	EXPECT_EQ(t, s.space->nr_regions, 4);
	soft_unload_space();
	REQUIRE(t, pages_there(&s, 6));
	EXPECT_EQ(t, page_in(s.object, 2)->mapcount, 1);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

/* ---- another CPU ---- */

struct neighbour {
	struct vm_space *space;
	unsigned pages;
	u32 ready, go; /* atomic */
	int written;   /* pages that could still be written, with no fault taken */
};

static void remember_and_write(void *arg)
{
	struct neighbour *n = arg;
	unsigned i;

	soft_load_space(n->space);
	for (i = 0; i < n->pages; i++)
		n->written -= soft_write(page_at(i), 1) != 0;
	store_release(&n->ready, 1u);
	SPIN_UNTIL(load_acquire(&n->go));
	for (i = 0; i < n->pages; i++)
		n->written += soft_try_write(page_at(i), 2) == 0;
	soft_unload_space();
}

static int unmap_some(struct vm_scene *s, unsigned nr)
{
	return vm_unmap(s->space, VM_BASE, nr);
}

static int protect_some(struct vm_scene *s, unsigned nr)
{
	return vm_protect(s->space, VM_BASE, nr, VM_READ);
}

static int remove_some(struct vm_scene *s, unsigned nr)
{
	return vm_object_remove(s->object, 0, nr);
}

/* CPU 1 has all pages in its TLB while half of them change, and can then write to the rest. */
KTEST(another_cpu_forgets_changed_pages)
{
	static const struct {
		const char *name;
		int (*change)(struct vm_scene *s, unsigned nr);
		unsigned pages;
	} rows[] = {{"unmap", unmap_some, 8}, {"protect", protect_some, 8},
	    {"remove", remove_some, 8},
	    /* more pages than a shootdown names one by one: each CPU flushes its whole TLB */
	    {"unmap many", unmap_some, 80}};
	struct vm_scene s;
	unsigned i;

	if (!ktest_needs_cpus(t, 2) || !scene_begin(t, &s, 80))
		return;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct neighbour n = {.space = s.space, .pages = rows[i].pages};
		int half = (int)n.pages / 2;
		u64 asked, rounds;

		ktest_start(1, remember_and_write, &n);
		EXPECT(t, YIELD_UNTIL(load_acquire(&n.ready)));
		asked = mm_event_sum(s.mem, EV_TLB_ASKED);
		EXPECT_EQ(t, rows[i].change(&s, n.pages / 2), 0);
		asked = mm_event_sum(s.mem, EV_TLB_ASKED) - asked;
		store_release(&n.go, 1u);
		ktest_join(1);
		if (!asked || n.written != half)
			ktest_fail(t, __FILE__, __LINE__, "%s: %llu CPUs asked; %d pages written",
			    rows[i].name, (unsigned long long)asked, n.written);
		/* No CPU has the tables loaded any more, and none gets an IPI. */
		rounds = mm_event_sum(s.mem, EV_TLB_ROUNDS);
		EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 80), 0);
		EXPECT_EQ(t, mm_event_sum(s.mem, EV_TLB_ROUNDS), rounds);
		EXPECT_EQ(t, vm_map(s.space, VM_BASE, 80, VM_RW, s.object, 0), 0);
	}
	scene_end(t, &s);
}

/* ---- pages of an object ---- */

KTEST(pages_of_an_object_are_counted_by_zone)
{
	struct vm_object *phys;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin_filled(t, &s, 6))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_PHYS, 600, NULL, NULL, &phys));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(t, vm_object_supply(phys, 250 * i, NULL), 0);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_MOVABLE), 6);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_NORMAL), 0);
	EXPECT_EQ(t, vm_object_pages(phys, ZONE_MOVABLE), 3);
	EXPECT_EQ(t, vm_object_pages(phys, ZONE_NORMAL), 3);
	EXPECT_EQ(t, vm_object_pages(phys, ZONE_DMA32), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_READ), 0);
	EXPECT_EQ(t, vm_fault(s.space, page_at(5), VM_READ), 0);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_MOVABLE), 6);
	EXPECT_EQ(t, vm_object_remove(s.object, 1, 1), 0);
	EXPECT_EQ(t, vm_unmap(s.space, page_at(5), 1), 0);
	EXPECT_EQ(t, vm_object_pages(s.object, ZONE_MOVABLE), 5);
	EXPECT_EQ(t, vm_object_tables(phys), 2);
	EXPECT_EQ(t, vm_object_supply(phys, 599, NULL), 0);
	EXPECT_EQ(t, vm_object_tables(phys), 3);
	vm_object_put(phys);
	scene_end(t, &s);
}
