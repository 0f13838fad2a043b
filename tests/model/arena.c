/* SPDX-License-Identifier: MIT */
/*
 * arena.c: a memory whose descriptors, zones and caches all lie in one arena at a fixed address.
 *
 * The grader links this file into both processes (wire.h).  The student's process builds the memory
 * that is used.  The judge builds another with the reference's code, to know the fields that must
 * never change.
 *
 * Owns:       the arena, while a memory is built.
 * Locks:      none: one thread.
 * Invariants: no pointer that check_memory follows points out of the arena.
 * Tests:      tests/qemu/test_grade.py, tests/qemu/test_states.py.
 */
#define _GNU_SOURCE
#include "wire.h"
#include "mm/core/buddy.h"
#include "mm/core/pcp.h"
#include <quarry/memory_init.h>
#include <quarry/string.h>
#include <sys/mman.h>

#include "tests/fuzz/fuzz.h"

/*
 * Nothing may touch the gaps between the arrays: the address sanitizer sees who does.  The gaps are
 * there without it too, since the judge and the judged must lay out the same arena.
 */
#define GAP 64
#ifdef __has_feature /* of clang; of gcc since version 14 */
#if __has_feature(address_sanitizer)
#define POISONS
#endif
#endif
#if defined(POISONS) || defined(__SANITIZE_ADDRESS__)
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#else
#define __asan_poison_memory_region(addr, size)   ((void)(addr))
#define __asan_unpoison_memory_region(addr, size) ((void)(addr))
#endif

static struct trace_ring ring; /* of all CPUs, if @arg of arena_alloc is a bare shape */

static void *arena_alloc(void *arg, size_t bytes)
{
	const struct wire_shape *bare = arg;
	u64 at = ALIGN_UP(ARENA->used, bytes >= PAGE_SIZE ? PAGE_SIZE : 64);

	if (bare && bytes == sizeof(ring))
		return &ring;
	if (bytes + GAP > ARENA_SIZE - at)
		return NULL;
	ARENA->used = at + bytes + GAP;
	__asan_poison_memory_region((void *)(ARENA_BASE + at + bytes), GAP);
	return (void *)(ARENA_BASE + at);
}

void arena_map(void)
{
	if (mmap((void *)ARENA_BASE, ARENA_SIZE, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != (void *)ARENA_BASE)
		panic("the arena cannot be mapped");
}

void arena_clear(void)
{
	u64 used = MIN(MAX(ARENA->used, sizeof(struct arena)), ARENA_SIZE);

	__asan_unpoison_memory_region(ARENA, used);
	memset(ARENA, 0, used);
}

void arena_machine(unsigned cpus)
{
	host_fuzz_reset(cpus);
	host_fuzz_cpu(0);
}

static void add_block(const struct wire_shape *s, unsigned nr, pfn_t start)
{
	pfn_t end = start + PAGEBLOCK_PAGES, from = start;

	if (nr == s->hole)
		return;
	if (nr == s->reserved)
		from += 3;
	memory_add_ram(shape_memory(s), start, end);
	memory_free_range(shape_memory(s), from, end);
}

/* Lend a pageblock of zone NORMAL to movable requests. */
static void lend(const struct wire_shape *s)
{
	pfn_t pfn = s->lent * PAGEBLOCK_PAGES;
	struct zone *zone;
	irqflags_t flags;

	if (!s->lent)
		return;
	zone = zone_of(shape_memory(s), pfn);
	flags = zone_lock_irqsave(zone);
	pageblock_change_type(zone, pfn, MT_CMA);
	zone_unlock_irqrestore(zone, flags);
}

static void set_caches(const struct wire_shape *s) NO_LOCK_ANALYSIS
{
	struct memory *mem = shape_memory(s);
	struct zone *zone = zone_of(mem, mem->end_pfn - 1);
	unsigned index, type;

	if (!s->caches[0])
		return;
	for (index = 0; index < NR_CACHED_ORDERS; index++) {
		for (type = 0; type < NR_CACHED_TYPES; type++)
			zone->pcp_capacity[index][type] =
			    index < ARRAY_SIZE(s->caches) && has_stack(zone, type)
			    ? s->caches[index]
			    : 0;
	}
	pcp_refresh_all(mem);
}

/* The arrays of @blocks pageblocks, zeroed; false: they do not fit. */
static bool arrays_for(const struct wire_shape *s, unsigned blocks, struct memory_config *cfg)
{
	size_t pageblocks = blocks * sizeof(struct pageblock);
	size_t trees = blocks * sizeof(struct pageblock_tree);
	size_t memmap = blocks * PAGEBLOCK_PAGES * sizeof(struct page);

	ARENA->used = sizeof(struct arena);
	if (s->kernel) {
		cfg->pageblocks = memset(ARCH_PAGEBLOCKS, 0, pageblocks);
		cfg->trees = memset(host_trees, 0, trees);
		cfg->memmap = memset(ARCH_MEMMAP, 0, memmap);
		return true;
	}
	cfg->pageblocks = ARENA->pageblocks = arena_alloc(NULL, pageblocks);
	cfg->trees = ARENA->trees = arena_alloc(NULL, trees);
	cfg->memmap = ARENA->memmap = arena_alloc(NULL, memmap);
	return cfg->pageblocks && cfg->trees && cfg->memmap;
}

int arena_build(const struct wire_shape *s)
{
	unsigned blocks = 1, nr = 1, i, k; /* pageblock 0 is not in the memory */
	struct memory_config cfg = {
	    .name = "graded",
	    .nr_cpus = s->cpus,
	    .nr_nodes = s->nodes,
	    .backed = !s->bare || s->watched,
	    .reclaim = s->kernel ? &memory_reclaim : NULL,
	    .alloc = arena_alloc,
	    .arg = s->bare ? (void *)(uintptr_t)s : NULL,
	    .start_pfn = PAGEBLOCK_PAGES,
	};
	struct memory *mem = shape_memory(s);
	pfn_t pfn = PAGEBLOCK_PAGES;

	for (i = 0; i < WIRE_ZONES; i++)
		blocks += s->zone[i].blocks;
	if (!arrays_for(s, blocks + 1, &cfg))
		return 1;
	cfg.end_pfn = blocks * PAGEBLOCK_PAGES;
	if (memory_init(mem, &cfg))
		return 2;
	for (i = 0; i < WIRE_ZONES; i++) {
		const struct wire_zone *z = &s->zone[i];
		pfn_t end = pfn + z->blocks * PAGEBLOCK_PAGES;

		if (!z->blocks)
			continue;
		if (memory_add_zone(mem, z->node, (enum zone_kind)z->kind, pfn, end))
			return 3;
		for (k = 0; k < z->blocks; k++, nr++, pfn += PAGEBLOCK_PAGES)
			add_block(s, nr, pfn);
	}
	if (memory_ready(mem) || memory_start(mem))
		return 4;
	lend(s);
	set_caches(s);
	handle_table_init(&ARENA->table, mem, ARENA->handle, NR_HANDLES);
	return 0;
}
