/* SPDX-License-Identifier: MIT */
/*
 * host_start.c: making a machine of a process: CPUs, and the kernel's own memory.
 *
 * Owns:       the arrays behind kernel_memory.
 * Locks:      none: the other CPUs are idle until the first thread is started.
 * Invariants: none.
 */
#include "host.h"
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/memory_init.h>
#include <quarry/smp.h>

char host_memmap[HOST_PAGES * sizeof(struct page)] __attribute__((aligned(4096)));
char host_pageblocks[HOST_PAGEBLOCKS * sizeof(struct pageblock)] __attribute__((aligned(4096)));
static struct pageblock_tree trees[HOST_PAGEBLOCKS];
/* Pages that are never touched use no memory of the host. */
char host_ram[HOST_PAGES << PAGE_SHIFT] __attribute__((aligned(1 << 21)));

static void *alloc_from_host(void *arg, size_t bytes)
{
	return arch_boot_zalloc(bytes);
}

static void set_up_memory(const struct reclaim_ops *reclaim)
{
	struct memory_config cfg = {
	    .name = "kernel",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = trees,
	    .end_pfn = HOST_PAGES,
	    .nr_cpus = nr_cpus,
	    .nr_nodes = 1,
	    .backed = true,
	    .reclaim = reclaim,
	    .alloc = alloc_from_host,
	};
	const pfn_t border[] = {0, HOST_PAGES / 4, HOST_PAGES / 2, HOST_PAGES};
	int err = memory_init(&kernel_memory, &cfg), kind;

	for (kind = 0; kind < NR_ZONE_KINDS && !err; kind++) {
		err = memory_add_zone(
		    &kernel_memory, 0, (enum zone_kind)kind, border[kind], border[kind + 1]);
		if (!err)
			memory_add_ram(&kernel_memory, border[kind], border[kind + 1]);
		/* The first pageblock stays reserved, as on a real machine. */
		if (!err)
			memory_free_range(
			    &kernel_memory, MAX(border[kind], PAGEBLOCK_PAGES), border[kind + 1]);
	}
	err = err ? err : memory_ready(&kernel_memory);
	err = err ? err : memory_start(&kernel_memory);
	if (err)
		panic("host: no kernel memory: error %d", err);
}

void host_start_with(unsigned cpus, const struct reclaim_ops *reclaim)
{
	unsigned cpu;

	host_cpus_start(cpus);
	smp_init();
	for (cpu = 0; cpu < nr_cpus; cpu++)
		cpu_set_online(cpu);
	set_up_memory(reclaim);
}
