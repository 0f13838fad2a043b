/* SPDX-License-Identifier: MIT */
/*
 * memory_arrays.c: memory for the descriptors when memory is added and removed.
 *
 * Owns:       nothing: the page tables say which descriptors are mapped.
 * Locks:      called under kernel_memory.adding; grow_inside under its hotplug lock; takes those of
 *             the page tables.
 * Invariants: descriptors of pages are mapped and unmapped by section; those of pageblocks, 4 KiB
 *             for 512 MiB, stay.
 * Tests:      memory_add, tests/qemu/test_memory_add.py.
 */
#include "kernel/boot_memory.h"

#include <quarry/machine.h>
#include <quarry/mm.h>

static void unmap(struct memory *mem, pfn_t start, unsigned long nr)
{
	arch_direct_unmap((phys_t)start << PAGE_SHIFT, nr << PAGE_SHIFT);
}

static int map(struct memory *mem, pfn_t start, unsigned long nr)
{
	uintptr_t first = (uintptr_t)pageblock_of(mem, start),
	          last = (uintptr_t)pageblock_of(mem, start + nr - 1);
	int err = arch_direct_map((phys_t)start << PAGE_SHIFT, nr << PAGE_SHIFT);

	first = ALIGN_DOWN(first, PAGE_SIZE);
	return err ? err : arch_array_grow(first, ALIGN_DOWN(last, PAGE_SIZE) + PAGE_SIZE - first);
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
