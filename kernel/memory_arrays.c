/* SPDX-License-Identifier: MIT */
/*
 * memory_arrays.c: memory for the descriptors when memory is added and removed.
 *
 * Owns:       nothing: the page tables say which descriptors are mapped.
 * Locks:      the functions are called under kernel_memory.adding, grow_inside under the hotplug
 *             lock of kernel_memory.  They take the locks of the page tables.
 * Invariants: descriptors of pages are mapped and unmapped by section; those of pageblocks and
 *             their trees, 52 KiB for 512 MiB, stay.
 * Tests:      memory_add, tests/qemu/test_slots.py.
 */
#include "kernel/boot_memory.h"

#include <quarry/machine.h>
#include <quarry/mm.h>

static void unmap(struct memory *mem, pfn_t start, unsigned long nr)
{
	arch_direct_unmap((phys_t)start << PAGE_SHIFT, nr << PAGE_SHIFT);
}

/* Map memory for the pages that contain the bytes [@first, @end) of an array. */
static int grow_pages(const void *first, const void *end)
{
	uintptr_t start = ALIGN_DOWN((uintptr_t)first, PAGE_SIZE);

	return arch_array_grow(start, ALIGN_UP((uintptr_t)end, PAGE_SIZE) - start);
}

static int map(struct memory *mem, pfn_t start, unsigned long nr)
{
	int err = arch_direct_map((phys_t)start << PAGE_SHIFT, nr << PAGE_SHIFT);

	if (!err)
		err = grow_pages(pageblock_of(mem, start), pageblock_of(mem, start + nr));
	if (!err)
		err = grow_pages(tree_of(mem, start), tree_of(mem, start + nr));
	return err;
}

static int grow(struct memory *mem, pfn_t start, unsigned long nr)
{
	return arch_array_grow((uintptr_t)pfn_to_page_in(mem, start), nr * sizeof(struct page));
}

/* The memmap lies in 2 MiB of the added memory itself, which the direct map covers already. */
static int grow_inside(struct memory *mem, pfn_t start, unsigned long nr, pfn_t at)
{
	size_t len = nr * sizeof(struct page);
	phys_t pa = (phys_t)at << PAGE_SHIFT;

	memset(arch_phys_to_virt(pa), 0, len);
	return arch_array_place((uintptr_t)pfn_to_page_in(mem, start), pa, len);
}

static void shrink(struct memory *mem, pfn_t start, unsigned long nr)
{
	arch_array_shrink((uintptr_t)pfn_to_page_in(mem, start), nr * sizeof(struct page));
}

const struct memory_arrays kernel_memory_arrays = {
    .map = map, .unmap = unmap, .grow = grow, .grow_inside = grow_inside, .shrink = shrink};
