/* SPDX-License-Identifier: MIT */
/*
 * arena.c: the core of mm/ as a library: `make arena CORE=1` builds and runs it on arch/host.
 *
 * The memory has page numbers, but no bytes.  Each thread allocates from its CPU's cache, and a
 * thread on the other CPU frees the blocks; then the caches are drained, and all pages are free
 * again.
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
/* The address of element 0 of an array that begins with element @first. */
#define BEFORE(array, first) ((void *)((uintptr_t)(array) - (first) * sizeof((array)[0])))

static struct memory arena;
static struct page pages[PAGES];
static struct pageblock blocks[PAGES / PAGEBLOCK_PAGES];
static struct pageblock_tree trees[PAGES / PAGEBLOCK_PAGES];
static struct page *taken[CPUS][BLOCKS];

static void *alloc_once(void *arg, size_t bytes)
{
	return calloc(1, bytes);
}

static int set_up(void)
{
	struct memory_config cfg = {.name = "arena",
	    .start_pfn = FIRST,
	    .end_pfn = FIRST + PAGES,
	    .memmap = BEFORE(pages, FIRST),
	    .pageblocks = BEFORE(blocks, FIRST / PAGEBLOCK_PAGES),
	    .trees = BEFORE(trees, FIRST / PAGEBLOCK_PAGES),
	    .nr_cpus = nr_cpus,
	    .nr_nodes = 1,
	    .alloc = alloc_once};

	if (memory_init(&arena, &cfg) ||
	    memory_add_zone(&arena, 0, ZONE_NORMAL, FIRST, FIRST + PAGES))
		return -EINVAL;
	memory_add_ram(&arena, FIRST, FIRST + PAGES);
	memory_free_range(&arena, FIRST, FIRST + PAGES);
	return memory_ready(&arena) || memory_start(&arena) ? -ENOMEM : 0;
}

static void take(void *cpu)
{
	struct page **mine = taken[(uintptr_t)cpu];
	unsigned i;

	for (i = 0; i < BLOCKS; i++)
		mine[i] = mem_alloc_pages(&arena, GFP_NOWAIT, i % 4);
}

/* Free the blocks that the other CPU has taken. */
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
	struct zone *zone = &arena.zones[ZONE_NORMAL];

	host_start_with(CPUS, NULL);
	if (set_up())
		panic("arena: no memory");
	on_each_cpu(take);
	on_each_cpu(give);
	printk("arena: %lu pages in caches before the drain", zone_pcp_pages(zone));
	memory_stop(&arena);
	printk(", %lu of %lu free after it\n", READ_ONCE(zone->nr_free), PAGES);
	return READ_ONCE(zone->nr_free) != PAGES;
}
