/* SPDX-License-Identifier: MIT */
/*
 * mmio.c: which physical addresses may be mapped as those of a device.
 *
 * Owns:       nothing: paging.c has the window for devices.
 * Locks:      none.
 * Invariants: neither memory nor addresses that the CPU does not have are mapped as a device's
 *             registers, whatever a BAR or a table of the firmware says.
 * Tests:      play_mmio, arch_map, tests/qemu/test_arch.py.
 */
#include <quarry/bootinfo.h>
#include <quarry/machine.h>
#include <quarry/memory_hotplug.h>

#include "x86.h"

/* A page-table entry with a larger address has reserved bits: its use is a page fault. */
static bool cpu_has(phys_t pa, size_t len)
{
	phys_t end = cpu_physical_end();

	return pa < end && len <= end - pa;
}

/*
 * Has memory been added, after the boot, at any of the addresses?  Boot memory may share a
 * pageblock with devices; memory that is added has all of its pageblocks.
 */
static bool is_added(phys_t pa, size_t len)
{
	const size_t block = PAGEBLOCK_PAGES << PAGE_SHIFT;
	phys_t at;

	for (at = ALIGN_DOWN(pa, block); at < pa + len; at += block) {
		if (!boot_is_ram(at, block) &&
		    memory_there(&kernel_memory, at >> PAGE_SHIFT, PAGEBLOCK_PAGES))
			return true;
	}
	return false;
}

void *arch_map_mmio(phys_t pa, size_t len)
{
	if (!cpu_has(pa, len) || boot_is_ram(pa, len) || is_added(pa, len))
		return NULL;
	return arch_map_device(pa, len, MAP_UNCACHED);
}

void *arch_map_framebuffer(phys_t pa, size_t len)
{
	return cpu_has(pa, len) ? arch_map_device(pa, len, MAP_COMBINE) : NULL;
}
