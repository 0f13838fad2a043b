/* SPDX-License-Identifier: MIT */
/*
 * test_vm_bad.c: calls that objects and spaces refuse without a change; memory that runs out at
 * each step of a fault; too many references.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"

#define TOP (VM_USER_END >> PAGE_SHIFT)

static const struct {
	uintptr_t va;
	unsigned long nr;
} bad_ranges[] = {
    {VM_BASE, 0},     /* nothing */
    {VM_BASE + 1, 1}, /* unaligned */
    {VM_BASE + PAGE_SIZE / 2, 1},
    {0, 1},         /* page 0 */
    {PAGE_SIZE, 1}, /* the first 64 KiB */
    {VM_USER_START - PAGE_SIZE, 1},
    {VM_USER_START - PAGE_SIZE, 2},
    {VM_USER_END, 1}, /* behind the last user address */
    {VM_USER_END - PAGE_SIZE, 2},
    {VM_BASE, TOP},  /* past the end */
    {VM_BASE, ~0UL}, /* wraps when counted in bytes */
    {VM_BASE, 1UL << 52},
    {VM_BASE, (1UL << 52) + 1},
    {0xffff800000000000UL, 1}, /* the kernel's half */
    {0xfffffffffffff000UL, 1},
    {0xfffffffffffff000UL, 2},
};

KTEST_SUITE(vm_bad, KTEST_QUICK);

KTEST(bad_ranges_are_refused)
{
	struct vm_object *large;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 1))
		return;
	REQUIRE(t, !vm_object_create(s.mem, OBJ_ANON, OBJ_MAX_PAGES, NULL, NULL, &large));
	for (i = 0; i < ARRAY_SIZE(bad_ranges); i++) {
		uintptr_t va = bad_ranges[i].va;
		unsigned long nr = bad_ranges[i].nr;

		EXPECT_EQ(t, vm_map(s.space, va, nr, VM_RW, large, 0), -EINVAL);
		EXPECT_EQ(t, vm_unmap(s.space, va, nr), -EINVAL);
		EXPECT_EQ(t, vm_protect(s.space, va, nr, VM_READ), -EINVAL);
	}
	EXPECT_EQ(t, s.space->nr_regions, 1);
	EXPECT_EQ(t, large->refs, 1);
	vm_object_put(large);
	scene_end(t, &s);
}

KTEST(invalid_protections_are_refused)
{
	const unsigned bad[] = {
	    0, VM_WRITE, VM_EXEC, VM_READ | VM_WRITE | VM_EXEC, 8 | VM_READ, ~0u};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 2))
		return;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(t, vm_map(s.space, page_at(10), 2, bad[i], s.object, 0), -EINVAL);
		EXPECT_EQ(t, vm_protect(s.space, VM_BASE, 2, bad[i]), -EINVAL);
	}
	EXPECT_EQ(t, s.space->nr_regions, 1);
	scene_end(t, &s);
}

KTEST(pages_behind_the_end_of_an_object_are_refused)
{
	static const struct {
		unsigned long nr, offset;
	} maps[] = {{5, 0}, {1, 4}, {2, 3}, {1, ~0UL}, {2, ~0UL}, {1, 1UL << 32}};
	struct vm_object *other;
	struct page *page;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 4))
		return;
	for (i = 0; i < ARRAY_SIZE(maps); i++)
		EXPECT_EQ(t,
		    vm_map(s.space, page_at(10), maps[i].nr, VM_RW, s.object, maps[i].offset),
		    -EINVAL);
	EXPECT_EQ(t, vm_object_supply(s.object, 4, NULL), -EINVAL);
	EXPECT(t, !vm_object_has(s.object, 4) && !vm_object_has(s.object, ~0u));
	EXPECT_EQ(t, vm_object_remove(s.object, 4, 0), -EINVAL);
	EXPECT_EQ(t, vm_object_remove(s.object, 0, 5), -EINVAL);
	EXPECT_EQ(t, vm_object_remove(s.object, 3, ~0u), -EINVAL);
	EXPECT_EQ(t, vm_object_pin(s.object, 4, &page), -EINVAL);
	EXPECT_EQ(t, s.object->refs, 2);
	/* Nor is an object of another memory mapped. */
	REQUIRE(t, !vm_object_create(&kernel_memory, OBJ_ANON, 4, NULL, NULL, &other));
	EXPECT_EQ(t, vm_map(s.space, page_at(10), 1, VM_RW, other, 0), -EINVAL);
	EXPECT_EQ(t, other->refs, 1);
	vm_object_put(other);
	EXPECT_EQ(t, s.space->nr_regions, 1);
	scene_end(t, &s);
}

/* An object has 1 to OBJ_MAX_PAGES pages, and a pager if it is a pager's. */
KTEST(impossible_objects_are_refused)
{
	static const struct vm_pager_ops none;
	static const struct {
		unsigned kind;
		unsigned long nr;
		const struct vm_pager_ops *ops;
	} rows[] = {{OBJ_ANON, 0, NULL}, {OBJ_ANON, OBJ_MAX_PAGES + 1, NULL},
	    {OBJ_PHYS + 1, 1, NULL}, {OBJ_PAGER, 1, NULL}, {OBJ_PAGER, 1, &none},
	    {OBJ_ANON, 1, &scene_pager}, {OBJ_PHYS, 1, &scene_pager}};
	struct vm_object *object = NULL;
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 1))
		return;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(t,
		    vm_object_create(s.mem, (enum vm_object_kind)rows[i].kind, rows[i].nr,
		        rows[i].ops, NULL, &object),
		    -EINVAL);
	EXPECT(t, !object);
	scene_end(t, &s);
}

KTEST(regions_do_not_overlap)
{
	struct vm_scene s;

	if (!scene_begin(t, &s, 8))
		return;
	EXPECT_EQ(t, vm_map(s.space, page_at(0), 8, VM_RW, s.object, 0), -EEXIST);
	EXPECT_EQ(t, vm_map(s.space, page_at(7), 1, VM_RW, s.object, 0), -EEXIST);
	EXPECT_EQ(t, vm_map(s.space, page_at(7), 8, VM_RW, s.object, 0), -EEXIST);
	EXPECT_EQ(t, vm_map(s.space, page_at(0) - PAGE_SIZE, 2, VM_RW, s.object, 0), -EEXIST);
	EXPECT_EQ(t, vm_map(s.space, page_at(3), 1, VM_RW, s.object, 0), -EEXIST);
	EXPECT_EQ(t, s.object->refs, 2);
	EXPECT_EQ(t, vm_map(s.space, page_at(8), 8, VM_RW, s.object, 0), 0);
	EXPECT_EQ(t, vm_map(s.space, page_at(0) - 8 * PAGE_SIZE, 8, VM_RW, s.object, 0), 0);
	EXPECT_EQ(t, s.space->nr_regions, 3);
	scene_end(t, &s);
}

/*
 * A hole anywhere in the range is reported first; then a right that a region may never have. No
 * region is cut. Pages 0 to 7 may have all rights, and pages 8 to 11 may only be read.
 */
KTEST(refused_protections_change_nothing)
{
	static const struct {
		unsigned long first, nr;
		unsigned prot;
		int err;
	} rows[] = {{11, 2, VM_READ, -EFAULT}, {-1UL, 2, VM_READ, -EFAULT},
	    {20, 1, VM_READ, -EFAULT}, {9, 4, VM_RW, -EFAULT}, {9, 3, VM_RW, -EACCES},
	    {8, 4, VM_RW, -EACCES}, {9, 1, VM_READ | VM_EXEC, -EACCES},
	    {4, 6, VM_READ | VM_EXEC, -EACCES}};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 8))
		return;
	EXPECT_EQ(t, vm_map(s.space, page_at(8), 4, VM_RW | VM_MAY(VM_READ), s.object, 0), -EINVAL);
	EXPECT_EQ(t, vm_map(s.space, page_at(8), 4, VM_READ | VM_MAY(VM_READ), s.object, 0), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(t, vm_protect(s.space, page_at(rows[i].first), rows[i].nr, rows[i].prot),
		    rows[i].err);
	EXPECT_EQ(t, s.space->nr_regions, 2);
	EXPECT_EQ(t, region_find(s.space, page_at(4))->prot, VM_RW);
	EXPECT_EQ(t, vm_map(s.space, page_at(12), 1, VM_RW, s.object, 0), 0);
	EXPECT_EQ(t, vm_protect(s.space, page_at(9), 4, VM_RW), -EACCES);
	EXPECT_EQ(t, s.space->nr_regions, 3);
	/* The parts of a cut region have its maximum. */
	EXPECT_EQ(t, vm_protect(s.space, page_at(9), 1, VM_READ), 0);
	for (i = 8; i < 12; i++)
		EXPECT_EQ(t, vm_protect(s.space, page_at(i), 1, VM_RW), -EACCES);
	EXPECT_EQ(t, vm_fault(s.space, page_at(10), VM_WRITE), -EACCES);
	scene_end(t, &s);
}

KTEST(faults_outside_regions_fail)
{
	const uintptr_t outside[] = {
	    page_at(2), page_at(0) - 1, 0, 0xffff888000000000UL, ~(uintptr_t)0};
	struct vm_scene s;
	unsigned i;

	if (!scene_begin(t, &s, 2))
		return;
	for (i = 0; i < ARRAY_SIZE(outside); i++)
		EXPECT_EQ(t, vm_fault(s.space, outside[i], VM_READ), -EFAULT);
	EXPECT_EQ(t, vm_fault(s.space, page_at(0), VM_EXEC), -EACCES);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	EXPECT_EQ(t, s.space->pt.nr_tables, 1);
	scene_end(t, &s);
}

KTEST(unbacked_memory_has_no_objects)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 2, 2));
	struct vm_object *object;
	struct vm_space *space;

	EXPECT_EQ(t, vm_object_create(mem, OBJ_ANON, 1, NULL, NULL, &object), -EINVAL);
	EXPECT_EQ(t, vm_space_create(mem, &space), -EINVAL);
}

/* All memory is taken, and then freed page by page. */
KTEST(out_of_memory_loses_nothing, KTEST_SLOW)
{
	struct pile pile = {NULL, 0};
	struct vm_object *object;
	struct vm_space *space;
	struct vm_scene s;
	unsigned left, failed = 0;
	int err = -ENOMEM;

	if (!scene_begin(t, &s, 2))
		return;
	/* Pages for tables are taken last, so the pile gives them back first. */
	pile_alloc(s.mem, &pile, GFP_ATOMIC | GFP_MOVABLE, 0, ALL_THERE_IS);
	pile_alloc(s.mem, &pile, GFP_ATOMIC | GFP_KERNEL, 0, ALL_THERE_IS);
	EXPECT_EQ(t, vm_object_create(s.mem, OBJ_ANON, 1, NULL, NULL, &object), -ENOMEM);
	EXPECT_EQ(t, vm_space_create(s.mem, &space), -ENOMEM);
	EXPECT_EQ(t, vm_object_supply(s.object, 1, NULL), -ENOMEM);
	/* Each try has one more free page: for another table, for the slots, for the page. */
	for (left = 0; err == -ENOMEM && left < 4000; left++) {
		err = vm_fault(s.space, page_at(1), VM_WRITE);
		failed += err == -ENOMEM;
		if (err)
			EXPECT_EQ(t, vm_object_present(s.object), 0);
		if (err && pile.top)
			EXPECT_EQ(t, mem_free_pages(s.mem, pile_pop(&pile), 0), 0);
	}
	EXPECT_EQ(t, err, 0);
	EXPECT(t, failed > 3);
	EXPECT_EQ(t, vm_object_present(s.object), 1);
	EXPECT_EQ(t, pile_free(s.mem, &pile), 0);
	expect_sound(t, s.mem);
	scene_end(t, &s);
}

KTEST(too_many_references_fail_the_fault)
{
	struct vm_scene s;
	struct page *page;
	unsigned i;

	if (!scene_begin(t, &s, 1))
		return;
	EXPECT_EQ(t, vm_object_supply(s.object, 0, NULL), 0);
	page = NEED(t, page_in(s.object, 0));
	for (i = 1; i < PAGE_REF_MAX; i++)
		EXPECT_EQ(t, get_page(page), 0);
	EXPECT_EQ(t, vm_fault(s.space, VM_BASE, VM_READ), -EAGAIN);
	EXPECT_EQ(t, page->mapcount, 0);
	EXPECT_EQ(t, pte_at(s.space, VM_BASE), 0);
	EXPECT_EQ(t, mem_put_page(s.mem, page), 0);
	EXPECT_EQ(t, vm_fault(s.space, VM_BASE, VM_READ), 0);
	EXPECT_EQ(t, page->mapcount, 1);
	for (i = 2; i < PAGE_REF_MAX; i++)
		EXPECT_EQ(t, mem_put_page(s.mem, page), 0);
	scene_end(t, &s);
}
