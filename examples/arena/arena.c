/* SPDX-License-Identifier: MIT */
/*
 * arena.c: the core of mm/ as a library: blocks of a device's memory, handed out by threads on several CPUs.
 *
 * The arena is a memory of its own: page numbers of a device, with descriptors here and no bytes behind them.  Each
 * thread allocates from its CPU's cache, and another gives back what it got; then the caches are drained, and every
 * page is there again.  `make arena` builds and runs it on arch/host.
 *
 * Owns:       the arena.
 * Locks:      none of its own.
 * Invariants: after a run all pages are free.
 */
#include <host.h>
#include <quarry/memory_init.h>
#include <stdlib.h>

#define CPUS   2
#define PAGES  32768UL /* 128 MiB, at page numbers from FIRST on */
#define FIRST  (1UL << 20)
#define BLOCKS 1000

static struct memory arena;
static struct page pages[PAGES];
static struct pageblock blocks[PAGES / PAGEBLOCK_PAGES];
static struct page *taken[CPUS][BLOCKS];

static void *alloc_once(void *arg, size_t bytes)
{
	return calloc(1, bytes);
}

static int set_up(void)
{
	struct memory_config cfg = {.name = "arena", .start_pfn = FIRST, .end_pfn = FIRST + PAGES,
	    .nr_cpus = nr_cpus, .nr_nodes = 1, .alloc = alloc_once};
	int err;

	/* Where the descriptor of page 0 would be. */
	cfg.memmap = (struct page *)((uintptr_t)pages - FIRST * sizeof(*pages));
	cfg.pageblocks = (struct pageblock *)((uintptr_t)blocks - FIRST / PAGEBLOCK_PAGES * sizeof(*blocks));
	err = memory_init(&arena, &cfg);
	if (!err)
		err = memory_add_zone(&arena, 0, ZONE_NORMAL, FIRST, FIRST + PAGES);
	if (err)
		return err;
	memory_add_ram(&arena, FIRST, FIRST + PAGES);
	memory_free_range(&arena, FIRST, FIRST + PAGES);
	err = memory_ready(&arena);
	return err ? err : memory_start(&arena);
}

static void take(void *cpu)
{
	struct page **mine = taken[(uintptr_t)cpu];
	unsigned i;

	for (i = 0; i < BLOCKS; i++)
		mine[i] = mem_alloc_pages(&arena, GFP_NOWAIT, i % 4);
}

/* What the other CPU has taken. */
static void give(void *cpu)
{
	struct page **theirs = taken[(uintptr_t)cpu ^ 1];
	unsigned i;

	for (i = 0; i < BLOCKS; i++) {
		if (!theirs[i] || mem_free_pages(&arena, theirs[i], i % 4))
			panic("arena: block %u was not allocated", i);
	}
}

static void on_each_cpu(void (*fn)(void *))
{
	struct thread *threads[CPUS];
	uintptr_t cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		threads[cpu] = thread_start("arena", (int)cpu, fn, (void *)cpu);
	for (cpu = 0; cpu < CPUS; cpu++)
		thread_join(threads[cpu]);
}

int main(void)
{
	unsigned long nr_free;

	host_start_with(CPUS, NULL);
	if (set_up())
		panic("arena: no memory");
	on_each_cpu(take);
	on_each_cpu(give);
	printk("arena: %lu pages in caches before the drain", zone_pcp_pages(&arena.zones[ZONE_NORMAL]));
	memory_stop(&arena);
	nr_free = READ_ONCE(arena.zones[ZONE_NORMAL].nr_free);
	printk(", %lu of %lu free after it\n", nr_free, PAGES);
	return nr_free != PAGES;
}
