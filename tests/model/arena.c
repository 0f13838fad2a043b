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
#include "wire.h"
#include "mm/core/buddy.h"
#include "mm/core/pcp.h"
#include <quarry/memory_init.h>

#include "tests/fuzz/fuzz.h"

static struct trace_ring ring; /* of all CPUs, if @arg of arena_alloc is a bare shape */

static void *arena_alloc(void *arg, size_t bytes)
{
	const struct wire_shape *bare = arg;
	u64 at = ALIGN_UP(ARENA->used, bytes >= PAGE_SIZE ? PAGE_SIZE : 64);

	if (bare && bytes == sizeof(ring))
		return &ring;
	if (bytes > ARENA_SIZE - at)
		return NULL;
	ARENA->used = at + bytes;
	return (void *)(ARENA_BASE + at);
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
	memory_add_ram(&ARENA->mem, start, end);
	memory_free_range(&ARENA->mem, from, end);
}

/* Lend a pageblock of zone NORMAL to movable requests. */
static void lend(const struct wire_shape *s)
{
	pfn_t pfn = s->lent * PAGEBLOCK_PAGES;
	struct zone *zone;
	irqflags_t flags;

	if (!s->lent)
		return;
	zone = zone_of(&ARENA->mem, pfn);
	flags = zone_lock_irqsave(zone);
	pageblock_change_type(zone, pfn, MT_CMA);
	zone_unlock_irqrestore(zone, flags);
}

static void set_caches(const struct wire_shape *s) NO_LOCK_ANALYSIS
{
	struct zone *zone = zone_of(&ARENA->mem, ARENA->mem.end_pfn - 1);
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
	pcp_refresh_all(&ARENA->mem);
}

int arena_build(const struct wire_shape *s)
{
	unsigned blocks = 1, nr = 1, i, k; /* pageblock 0 is not in the memory */
	struct memory_config cfg = {
	    .name = "graded",
	    .nr_cpus = s->cpus,
	    .nr_nodes = s->nodes,
	    .backed = !s->bare,
	    .alloc = arena_alloc,
	    .arg = s->bare ? (void *)(uintptr_t)s : NULL,
	    .start_pfn = PAGEBLOCK_PAGES,
	};
	pfn_t pfn = PAGEBLOCK_PAGES;

	for (i = 0; i < WIRE_ZONES; i++)
		blocks += s->zone[i].blocks;
	ARENA->used = sizeof(struct arena);
	ARENA->pageblocks = arena_alloc(NULL, (blocks + 1) * sizeof(struct pageblock));
	ARENA->trees = arena_alloc(NULL, (blocks + 1) * sizeof(struct pageblock_tree));
	ARENA->memmap = arena_alloc(NULL, (blocks + 1) * PAGEBLOCK_PAGES * sizeof(struct page));
	if (!ARENA->pageblocks || !ARENA->trees || !ARENA->memmap)
		return 1;
	cfg.memmap = ARENA->memmap;
	cfg.pageblocks = ARENA->pageblocks;
	cfg.trees = ARENA->trees;
	cfg.end_pfn = blocks * PAGEBLOCK_PAGES;
	if (memory_init(&ARENA->mem, &cfg))
		return 2;
	for (i = 0; i < WIRE_ZONES; i++) {
		const struct wire_zone *z = &s->zone[i];
		pfn_t end = pfn + z->blocks * PAGEBLOCK_PAGES;

		if (!z->blocks)
			continue;
		if (memory_add_zone(&ARENA->mem, z->node, (enum zone_kind)z->kind, pfn, end))
			return 3;
		for (k = 0; k < z->blocks; k++, nr++, pfn += PAGEBLOCK_PAGES)
			add_block(s, nr, pfn);
	}
	if (memory_ready(&ARENA->mem) || memory_start(&ARENA->mem))
		return 4;
	lend(s);
	set_caches(s);
	handle_table_init(&ARENA->table, &ARENA->mem, ARENA->handle, NR_HANDLES);
	return 0;
}
