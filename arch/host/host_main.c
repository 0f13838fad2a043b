/* SPDX-License-Identifier: MIT */
/*
 * host_main.c: the hosted test program: CPUs, the kernel's own memory, then the suites.
 *
 *   check [--cpus=N] [--seed=N] [SUITES]
 *
 * SUITES is what selftest= takes at boot: "all" (the default), "quick", or SUITE and SUITE.TEST with commas.
 *
 * Owns: the arrays behind kernel_memory.
 */
#include "host.h"
#include <quarry/ktest.h>
#include <quarry/smp.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CPUS 4
#define DEFAULT_SEED 0x5eed

char host_memmap[HOST_PAGES * sizeof(struct page)]
    __attribute__((aligned(PAGEBLOCK_PAGES * sizeof(struct page) > 4096 ? PAGEBLOCK_PAGES * sizeof(struct page) : 4096)));
char host_pageblocks[HOST_PAGEBLOCKS * sizeof(struct pageblock)] __attribute__((aligned(4096)));
/* Pages that nobody touches are never backed. */
char host_ram[HOST_PAGES << PAGE_SHIFT] __attribute__((aligned(1 << 21)));

static void *alloc_from_host(void *arg, size_t bytes)
{
	return arch_boot_zalloc(bytes);
}

static void set_up_memory(void)
{
	struct memory_config cfg = {
		.name = "kernel",
		.memmap = ARCH_MEMMAP,
		.pageblocks = ARCH_PAGEBLOCKS,
		.end_pfn = HOST_PAGES,
		.nr_cpus = nr_cpus,
		.nr_nodes = 1,
		.backed = true,
		.pcp = host_pcp,
		.alloc = alloc_from_host,
	};
	const pfn_t border[] = {0, HOST_PAGES / 4, HOST_PAGES / 2, HOST_PAGES};
	int err = memory_init(&kernel_memory, &cfg), kind;

	for (kind = 0; kind < NR_ZONE_KINDS && !err; kind++) {
		err = memory_add_zone(&kernel_memory, 0, (enum zone_kind)kind, border[kind],
		    border[kind + 1]);
		if (!err)
			memory_add_ram(&kernel_memory, border[kind], border[kind + 1]);
		/* The first pageblock stays reserved, as the kernel's image would be. */
		if (!err)
			memory_free_range(&kernel_memory, MAX(border[kind], PAGEBLOCK_PAGES),
			    border[kind + 1]);
	}
	err = err ? err : memory_ready(&kernel_memory);
	err = err ? err : memory_start(&kernel_memory);
	if (err)
		panic("host: no kernel memory: error %d", err);
}

static u64 number(const char *text)
{
	char *end;
	u64 value = strtoull(text, &end, 0);

	if (!*text || *end) {
		fprintf(stderr, "check: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	u64 seed = DEFAULT_SEED, cpus = DEFAULT_CPUS;
	const char *which = "all";
	unsigned cpu;
	int i, failed;

	for (i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--cpus=", 7))
			cpus = number(argv[i] + 7);
		else if (!strncmp(argv[i], "--seed=", 7))
			seed = number(argv[i] + 7);
		else
			which = argv[i];
	}
	if (cpus < 1 || cpus > HOST_MAX_CPUS) {
		fprintf(stderr, "check: 1 to %d CPUs\n", HOST_MAX_CPUS);
		return 2;
	}
	host_cpus_start((unsigned)cpus);
	smp_init();
	for (cpu = 0; cpu < nr_cpus; cpu++)
		cpu_set_online(cpu);
	set_up_memory();
	failed = ktest_run(which, seed);
	memory_stop(&kernel_memory);
	return failed ? 1 : 0;
}
