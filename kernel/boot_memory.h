/* SPDX-License-Identifier: MIT */
/* boot_memory.h: the two steps from the firmware's memory map to the kernel's zones; boot CPU only. */
#ifndef KERNEL_BOOT_MEMORY_H
#define KERNEL_BOOT_MEMORY_H

#include <quarry/mm_types.h>

/* Fill the boot allocator from bootinfo.  With too little RAM it says so and ends the machine. */
void boot_memory_init(void);
/* Make zones of all RAM and give them what is free; boot_alloc is over.  nr_cpus must be known. */
void boot_memory_hand_over(void);

/* Pages whose descriptors fill a pageblock: so much of what stands by comes online at a time. */
#define BOOT_STANDBY_STEP ((PAGEBLOCK_PAGES << PAGE_SHIFT) / sizeof(struct page))

/* ---- boot_zones.c ---- */

struct memblock;
/* Cut the RAM of @mb into nodes and zones; the span of all, pageblock aligned, and how many nodes there are. */
unsigned boot_zones_plan(const struct memblock *mb, pfn_t *start, pfn_t *end);
/* Add the zones to @mem, empty. */
void boot_zones_add(struct memory *mem);
/* Does the page at @start stand by?  All of [@start, *@to) does, or none; @end at most. */
bool boot_stands_by(pfn_t start, pfn_t end, pfn_t *to);

/* Of kernel_memory: kernel/memory_arrays.c. */
extern const struct memory_arrays kernel_memory_arrays;

#endif
