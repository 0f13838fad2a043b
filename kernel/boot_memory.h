/* SPDX-License-Identifier: MIT */
/*
 * boot_memory.h: from the firmware's memory map to the kernel's zones, in two steps; boot CPU only.
 */
#ifndef KERNEL_BOOT_MEMORY_H
#define KERNEL_BOOT_MEMORY_H

#include <quarry/boot_zones.h>

/*
 * Fill the boot allocator from bootinfo.  If RAM is too small, report it and stop the machine.
 */
void boot_memory_init(void);
/* Make zones of all RAM and give them the free memory; ends boot_alloc.  nr_cpus must be known. */
void boot_memory_hand_over(void);

/* The arrays of kernel_memory; defined in kernel/memory_arrays.c. */
extern const struct memory_arrays kernel_memory_arrays;

#endif
