/* SPDX-License-Identifier: MIT */
/*
 * ops_memory.c: the memory of a race, private and fresh for each run, and the scene in it.
 *
 * The memory has NORMAL and MOVABLE pageblocks and as many CPUs as there are roles, or more.  Page
 * P is a page of zone MOVABLE, Q (with scene(Q)) another in the same pageblock; U is the pageblock
 * of zone NORMAL from which the next unmovable page will be taken, K (with scene(K)) an unmovable
 * page in it.  O is an object behind a handle, which can be moved; each role may have one of its
 * own, too.  T is the second page of a block of two pages.  V (with scene(V), instead of P) is a
 * page of a memory object, mapped in address spaces: ops_vm.c, ops_space.c.  B (with scene(B)) is
 * the first page of the pageblocks at the end of zone MOVABLE that are on standby at first.
 * Operations on broken pages take the page of P, Q, K or V as it was when the scene was set,
 * whichever role has it now.
 *
 * Owns: the arena; ops.
 */
#include "mm/core/zone.h"
#include "ops.h"
#include <quarry/memory_init.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define BLOCKS 32u /* pageblocks of each zone */
#define CACHED 5u  /* pages of a type that a CPU may cache, as with pageblocks of 8 pages */
/* Pageblocks of each zone when the machine lends them: it may not have more to spare. */
#define LENT       (PAGEBLOCK_ORDER >= 9 ? 8u : BLOCKS)
#define STANDBY    4u
#define WIDE       (PAGEBLOCK_ORDER >= 9 ? BLOCKS : RACE_WIDE)
#define ARENA_SIZE ((BLOCKS + WIDE) * PAGEBLOCK_PAGES * sizeof(struct page) + (216UL << 10))

static char arena[ARENA_SIZE] __attribute__((aligned(4096)));
static size_t arena_used;

struct ops ops;

static void *arena_alloc(void *arg, size_t bytes)
{
	void *ptr = arena + arena_used;

	if (bytes > ARENA_SIZE - arena_used)
		return NULL;
	arena_used += ALIGN_UP(bytes, 64);
	return ptr;
}

struct zone *ops_movable(void)
{
	return &ops.mem->zones[ZONE_MOVABLE];
}

pfn_t ops_block_of(const struct page *page)
{
	return ALIGN_DOWN(page_to_pfn_in(ops.mem, page), PAGEBLOCK_PAGES);
}

/* ---- a run ---- */

/*
 * Limit the stacks to what they hold with pageblocks of 8 pages: so a round has the same number of
 * pieces on fibers and in QEMU.  No CPU uses the memory yet.
 */
static void keep_caches_small(struct memory *mem) NO_LOCK_ANALYSIS
{
	struct zone *zone;
	unsigned type;

	for_each_zone(mem, zone)
		for (type = 0; type < NR_CACHED_TYPES; type++)
			zone->pcp_capacity[0][type] = MIN(zone->pcp_capacity[0][type], CACHED);
}

/* True: the setup of the script has operation @scene. */
static bool has_scene(const struct race_script *s, const char *scene)
{
	unsigned i;

	for (i = 0; i < s->first || (!s->first && i < s->nr); i++)
		if (!strcmp(s->entry[i].op, scene))
			return true;
	return false;
}

void ops_build(const struct race_script *s)
{
	const bool backed =
	    has_scene(s, "scene(V)") || has_scene(s, "scene(N)") || has_scene(s, "scene(G)");
	const unsigned blocks = backed ? LENT : BLOCKS;
	const unsigned movable = s->movable ? MIN(s->movable, WIDE) : blocks;
	const unsigned long nr = (blocks + movable) * PAGEBLOCK_PAGES;
	const pfn_t start = backed ? race_ram(nr) : 0, end = start + nr;
	const pfn_t middle = start + blocks * PAGEBLOCK_PAGES;
	const pfn_t online_end = has_scene(s, "scene(B)") ? end - STANDBY * PAGEBLOCK_PAGES : end;
	struct memory_config cfg = {.name = "race",
	    .start_pfn = start,
	    .end_pfn = end,
	    .nr_cpus = s->nr_cpus,
	    .nr_nodes = 1,
	    .backed = backed,
	    .reclaim = &memory_reclaim,
	    .alloc = arena_alloc,
	    .standby_step = STANDBY * PAGEBLOCK_PAGES,
	    .arrays = online_end < end ? &ops_standby_arrays : NULL};
	struct memory *mem;
	char *map;
	int err;

	if (start == PFN_NONE)
		panic("race: no pages to lend");
	vm_forget();
	memset(arena, 0, arena_used);
	memset(&ops, 0, sizeof(ops));
	arena_used = 0;
	mem = arena_alloc(NULL, sizeof(*mem));
	/* The arrays are indexed from pfn 0, which may lie outside them. */
	map = arena_alloc(NULL, nr * sizeof(struct page));
	cfg.memmap = (struct page *)((uintptr_t)map - start * sizeof(struct page));
	map = arena_alloc(NULL, nr / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	cfg.pageblocks = (struct pageblock *)((uintptr_t)map -
	    start / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	map = arena_alloc(NULL, nr / PAGEBLOCK_PAGES * sizeof(struct pageblock_tree));
	cfg.trees = (struct pageblock_tree *)((uintptr_t)map -
	    start / PAGEBLOCK_PAGES * sizeof(struct pageblock_tree));
	err = memory_init(mem, &cfg);
	err = err ? err : memory_add_zone(mem, 0, ZONE_NORMAL, start, middle);
	err = err ? err : memory_add_zone(mem, 0, ZONE_MOVABLE, middle, end);
	if (!err) {
		memory_add_ram(mem, start, online_end);
		memory_free_range(mem, start, online_end);
		if (online_end < end)
			memory_add_standby(mem, online_end, end);
	}
	err = err ? err : memory_ready(mem);
	err = err ? err : memory_start(mem);
	if (err)
		panic("race: no memory: error %d", err);
	if (!s->movable)
		keep_caches_small(mem);
	mem->policy = s->policy;
	mem->blocks_at_once = 1; /* so that other threads run in between */
	ops.mem = mem;
	handle_table_init(&ops.objects, mem, ops.object, ARRAY_SIZE(ops.object));
	ops.offline_cpu = READ_ONCE(smp_stats.offline_cpu);
	ops.timeout_ns = smp_timeout_ns;
	ops.from_alloc = READ_ONCE(smp_stats.from_alloc);
}

void ops_stop(bool sound)
{
	smp_timeout_ns = ops.timeout_ns;
	struct thread *t =
	    sound && ops.vm.object ? thread_start("race", 0, vm_drop_all, NULL) : NULL;

	if (t)
		thread_join(t);
	memory_stop(ops.mem);
}

bool ops_view(struct ops_view *view)
{
	*view = (struct ops_view){.mem = ops.mem, .page_p = ops.page_p, .block_u = ops.block_u};
	return ops.page_p != 0;
}

unsigned ops_cached_on(const struct memory *mem, const struct page *head)
{
	unsigned cpu, i, k;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		for (i = 0; i < nr_stacks(mem); i++)
			for (k = 0; k < stack_count(&mem->pcp[cpu]->stack[i]); k++)
				if (mem->pcp[cpu]->stack[i].slot[k] == head)
					return cpu;
	return nr_cpus;
}

bool ops_owns(const void *what)
{
	return ((const char *)what >= arena && (const char *)what < arena + sizeof(arena)) ||
	    vm_owns(what);
}

/* ---- the scene ---- */

int ops_scene(unsigned role, const char *arg)
{
	struct page *u = mem_alloc_pages(ops.mem, GFP_UNMOVABLE, 0);

	if (arg[0] == 'V' || arg[0] == 'N' || arg[0] == 'G')
		vm_scene(arg[0]);
	if (!strcmp(arg, "V")) {
		ops.page_p = page_to_pfn_in(ops.mem, ops.vm.v);
		ops.vm.block_v = ops_block_of(ops.vm.v);
	} else {
		ops.p = mem_alloc_pages(ops.mem, GFP_MOVABLE, 0);
		KASSERT(ops.p);
		ops.page_p = page_to_pfn_in(ops.mem, ops.p);
		ops.block_p = ops_block_of(ops.p);
	}
	if (!strcmp(arg, "Q")) {
		ops.q = mem_alloc_pages(ops.mem, GFP_MOVABLE, 0);
		ops.page_q = page_to_pfn_in(ops.mem, ops.q);
	}
	KASSERT(u);
	ops.block_u = ops_block_of(u);
	ops.page_k = page_to_pfn_in(ops.mem, u);
	if (!strcmp(arg, "K"))
		ops.k = u;
	else
		mem_free_pages(ops.mem, u, 0);
	drain_local_pages(ops.mem, NULL);
	return 0;
}

pfn_t ops_pfn(const char *arg)
{
	if (arg[0] == 'B')
		return ops_movable()->end_pfn - STANDBY * PAGEBLOCK_PAGES;
	return arg[0] == 'D' ? ops.vm.v->next
	    : arg[0] == 'T'  ? ops.page_t
	    : arg[0] == 'Q'  ? ops.page_q
	    : arg[0] == 'K'  ? ops.page_k
	                     : ops.page_p;
}
