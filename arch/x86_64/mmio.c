/* SPDX-License-Identifier: MIT */
/*
 * mmio.c: which physical addresses may be mapped as those of a device.
 *
 * Owns:       nothing: paging.c has the window for devices.
 * Locks:      none.
 * Invariants: neither RAM nor addresses that the CPU does not have are mapped as a device's
 *             registers, whatever a BAR or a table of the firmware says.
 * Tests:      play_mmio, arch_map.
 */
#include <quarry/bootinfo.h>
#include <quarry/machine.h>

#include "x86.h"

/* A page-table entry with a larger address has reserved bits: its use is a page fault. */
static bool cpu_has(phys_t pa, size_t len)
{
	phys_t end = cpu_physical_end();

	return pa < end && len <= end - pa;
}

void *arch_map_mmio(phys_t pa, size_t len)
{
	if (!cpu_has(pa, len) || boot_is_ram(pa, len))
		return NULL;
	return arch_map_device(pa, len, MAP_UNCACHED);
}

void *arch_map_framebuffer(phys_t pa, size_t len)
{
	return cpu_has(pa, len) ? arch_map_device(pa, len, MAP_COMBINE) : NULL;
}
