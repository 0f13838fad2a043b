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

KTEST_INSIDE(unmapping_returns_tables_only_with_the_space)
{
	struct vm_scene s;

	if (!scene_begin(t, &s, 200))
		return;
	soft_load_space(s.space);
	write_pages(t, 0, 200, 1);
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, 200), 0);
	soft_unload_space();
	vm_object_put(s.object);
	s.object = NULL;
	EXPECT_EQ(t, s.space->nr_regions, 0);
	EXPECT(t, !s.space->found);
	EXPECT_EQ(t, memory_free_pages(s.mem), s.free - s.space->pt.nr_tables);
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

KTEST_INSIDE(lowest_table_is_made_when_it_is_needed)
{
	struct vm_scene s;

	if (!scene_begin(t, &s, 1))
		return;
	EXPECT(t, !pt_entry(&s.space->pt, VM_USER_START));
	EXPECT_EQ(t, pt_prepare(&s.space->pt, VM_USER_START), 0);
	EXPECT(t, pt_entry(&s.space->pt, VM_USER_START));
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

/* A region that may only be read never becomes writable, nor do the parts of a cut region. */
KTEST(protection_stays_within_the_regions_maximum)
{
	struct vm_scene s;

	if (!scene_begin(t, &s, 4))
		return;
	soft_load_space(s.space);
	EXPECT_EQ(
	    t, vm_map(s.space, page_at(100), 4, VM_RW | VM_MAY(VM_READ), s.object, 0), -EINVAL);
	EXPECT_EQ(t, vm_map(s.space, page_at(100), 4, VM_READ | VM_MAY(VM_READ), s.object, 0), 0);
	EXPECT_EQ(t, vm_protect(s.space, page_at(100), 4, VM_RW), -EACCES);
	EXPECT_EQ(t, vm_protect(s.space, page_at(101), 1, VM_READ | VM_EXEC), -EACCES);
	EXPECT_EQ(t, vm_protect(s.space, page_at(101), 1, VM_READ), 0);
	EXPECT_EQ(t, vm_protect(s.space, page_at(102), 1, VM_RW), -EACCES);
	EXPECT_EQ(t, soft_write(page_at(102), 1), -EACCES);
	soft_unload_space();
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

/* Call @change while CPU 1 has all pages in its TLB. CPU 1 can then still write to @still pages. */
static void change_under_a_neighbour(
    struct ktest *t, unsigned pages, int still, int (*change)(struct vm_scene *s))
{
	struct neighbour n = {.pages = pages};
	struct vm_scene s;
	u64 rounds;

	if (!ktest_needs_cpus(t, 2))
		return;
	if (!scene_begin(t, &s, pages))
		return;
	n.space = s.space;
	ktest_start(1, remember_and_write, &n);
	EXPECT(t, YIELD_UNTIL(load_acquire(&n.ready)));
	rounds = mm_event_sum(s.mem, EV_TLB_ASKED);
	EXPECT_EQ(t, change(&s), 0);
	EXPECT(t, mm_event_sum(s.mem, EV_TLB_ASKED) > rounds);
	store_release(&n.go, 1u);
	ktest_join(1);
	EXPECT_EQ(t, n.written, still);
	/* No CPU has the tables loaded any more, and none gets an IPI. */
	rounds = mm_event_sum(s.mem, EV_TLB_ROUNDS);
	EXPECT_EQ(t, vm_unmap(s.space, VM_BASE, pages), 0);
	EXPECT_EQ(t, mm_event_sum(s.mem, EV_TLB_ROUNDS), rounds);
	scene_end(t, &s);
}

static int unmap_half(struct vm_scene *s)
{
	return vm_unmap(s->space, VM_BASE, s->nr / 2);
}

static int protect_half(struct vm_scene *s)
{
	return vm_protect(s->space, VM_BASE, s->nr / 2, VM_READ);
}

static int remove_half(struct vm_scene *s)
{
	return vm_object_remove(s->object, 0, s->nr / 2);
}

KTEST(another_cpu_forgets_unmapped_pages)
{
	change_under_a_neighbour(t, 8, 4, unmap_half);
}

KTEST(another_cpu_forgets_protected_pages)
{
	change_under_a_neighbour(t, 8, 4, protect_half);
}

KTEST(another_cpu_forgets_removed_pages)
{
	change_under_a_neighbour(t, 8, 4, remove_half);
}

/* Unmap more pages than a shootdown names one by one, so that each CPU flushes its whole TLB. */
KTEST_COST(many_pages_are_flushed_as_a_whole)
{
	change_under_a_neighbour(t, 80, 40, unmap_half);
}

/* ---- shootdowns ---- */

static struct {
	phys_t root;
	uintptr_t next; /* the page whose TLB entry should be flushed next */
	unsigned pages, all, wrong;
} forgotten;

static void note_forgotten(phys_t root, uintptr_t va, bool all)
{
	if (all) {
		forgotten.all++;
		return;
	}
	forgotten.wrong += root != forgotten.root || va != forgotten.next;
	forgotten.next = va + PAGE_SIZE;
	forgotten.pages++;
}

/* Up to 32 entries are flushed by address; for more, the whole TLB is flushed. */
KTEST_COST(tlb_entries_are_flushed_one_by_one_up_to_a_limit)
{
	void (*before)(phys_t, uintptr_t, bool);
	struct vm_scene s;
	unsigned nr, i;

	if (!scene_begin(t, &s, 70))
		return;
	soft_load_space(s.space);
	before = READ_ONCE(tlb_flush_hook);
	for (nr = 31; nr <= 33; nr++) {
		for (i = 0; i < nr; i++)
			EXPECT_EQ(t, vm_fault(s.space, page_at(i), VM_READ), 0);
		memset(&forgotten, 0, sizeof(forgotten));
		forgotten.root = s.space->pt.root;
		forgotten.next = page_at(0);
		WRITE_ONCE(tlb_flush_hook, note_forgotten);
		EXPECT_EQ(t, vm_object_remove(s.object, 0, nr), 0);
		WRITE_ONCE(tlb_flush_hook, before);
		EXPECT_EQ(t, forgotten.pages, nr <= 32 ? nr : 0);
		EXPECT_EQ(t, forgotten.all, nr > 32);
		EXPECT_EQ(t, forgotten.wrong, 0);
	}
	soft_unload_space();
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
