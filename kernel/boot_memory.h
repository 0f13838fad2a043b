/* SPDX-License-Identifier: MIT */
/* boot_memory.h: the two steps from the firmware's memory map to the kernel's zones; boot CPU only. */
#ifndef KERNEL_BOOT_MEMORY_H
#define KERNEL_BOOT_MEMORY_H

#include <quarry/boot_zones.h>

/* Fill the boot allocator from bootinfo.  With too little RAM it says so and ends the machine. */
void boot_memory_init(void);
/* Make zones of all RAM and give them what is free; boot_alloc is over.  nr_cpus must be known. */
void boot_memory_hand_over(void);

/* Of kernel_memory: kernel/memory_arrays.c. */
extern const struct memory_arrays kernel_memory_arrays;

#endif
