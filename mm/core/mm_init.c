/* SPDX-License-Identifier: MIT */
/*
 * mm_init.c: building a struct memory from arrays that the caller supplies.
 *
 * Owns:       the order of the steps (init to start), and the list of memories.
 * Locks:      memories_lock for the list; no other, since one CPU uses the memory before its start.
 * Invariants: a zeroed memmap is valid; every pageblock with RAM that is not standby is ONLINE with
 *             all its pages RESERVED until parts of it are given to the allocator.
 * Tests:      init, cpu_nodes, standby, standby_exact, held.
 */
#include "mm/core/buddy.h"
#include "mm/core/claim.h"
#include "mm/core/drain.h"
#include "mm/core/page.h"
#include "mm/core/pcp.h"
#include <quarry/memory_init.h>

struct memory_list memories = LIST_HEAD_INITIALIZER(memories);
struct spinlock memories_lock = {.name = "memories", .rank = RANK_CPU_HOTPLUG};

static int alloc_caches(struct memory *mem, const struct memory_config *cfg)
{
	size_t bytes = sizeof(struct pcp) + nr_stacks(mem) * sizeof(struct pcp_stack);
	unsigned cpu;

	mem->drain_mask = cfg->alloc(cfg->arg, CPUMASK_WORDS(nr_cpus) * sizeof(cpumask_t));
	mem->pcp = cfg->alloc(cfg->arg, cfg->nr_cpus * sizeof(*mem->pcp));
	if (!mem->drain_mask || !mem->pcp)
		return -ENOMEM;
	for (cpu = 0; cpu < cfg->nr_cpus; cpu++) {
		struct pcp *pcp = mem->pcp[cpu] = cfg->alloc(cfg->arg, bytes);

		if (!pcp || !(pcp->ring = cfg->alloc(cfg->arg, sizeof(*pcp->ring))))
			return -ENOMEM;
	}
	return 0;
}

/* No lock is needed: no other code uses @mem yet. */
static void init_zone(struct memory *mem, unsigned id) NO_LOCK_ANALYSIS
{
	struct zone *zone = &mem->zones[id];
	unsigned order, type;

	*zone = (struct zone){.lock = SPINLOCK("zone", RANK_ZONE),
	    .lru_lock = SPINLOCK("lru", RANK_LRU),
	    .mem = mem,
	    .id = (u8)id,
	    .node = (u8)(id / NR_ZONE_KINDS),
	    .kind = (u8)(id % NR_ZONE_KINDS)};
	for (type = 0; type < NR_LRU; type++)
		zone->lru[type] = (struct lru_list){.head = (u32)PFN_NONE, .tail = (u32)PFN_NONE};
	for (order = 0; order < NR_ORDERS; order++) {
		for (type = 0; type < NR_MIGRATETYPES; type++)
			zone->blocks[type][order] = (u32)PFN_NONE;
	}
}

/* Can the fast paths compute with the arrays' addresses, constants for kernel_memory? */
static bool arrays_ok(const struct memory *mem, const struct memory_config *cfg)
{
	uintptr_t memmap = (uintptr_t)cfg->memmap, pageblocks = (uintptr_t)cfg->pageblocks;

	if (memmap % _Alignof(struct page) || pageblocks % _Alignof(struct pageblock) ||
	    (uintptr_t)cfg->trees % _Alignof(struct pageblock_tree))
		return false;
	return mem != &kernel_memory ||
	    (memmap == (uintptr_t)ARCH_MEMMAP && pageblocks == (uintptr_t)ARCH_PAGEBLOCKS);
}

int memory_init(struct memory *mem, const struct memory_config *cfg)
{
	unsigned i, j;

	if (cfg->start_pfn >= cfg->end_pfn || cfg->end_pfn > PFN_NONE || cfg->nr_cpus == 0 ||
	    cfg->nr_cpus > nr_cpus || cfg->thread_cpus > cfg->nr_cpus || cfg->nr_nodes == 0 ||
	    cfg->nr_nodes > MAX_NODES || cfg->standby_step % PAGEBLOCK_PAGES ||
	    ((cfg->start_pfn | cfg->end_pfn) & (PAGEBLOCK_PAGES - 1)) || !arrays_ok(mem, cfg))
		return -EINVAL;
	*mem = (struct memory){/* zeroed, the lists are empty */
	    .name = cfg->name,
	    .memmap = cfg->memmap,
	    .pageblocks = cfg->pageblocks,
	    .trees = cfg->trees,
	    .first_page = (uintptr_t)cfg->memmap + cfg->start_pfn * sizeof(struct page),
	    .first_block = cfg->pageblocks + (cfg->start_pfn >> PAGEBLOCK_ORDER),
	    .nr_pfns = cfg->end_pfn - cfg->start_pfn,
	    .arrays = cfg->arrays,
	    .start_pfn = cfg->start_pfn,
	    .end_pfn = cfg->end_pfn,
	    .backed = cfg->backed,
	    .standby_step = cfg->standby_step ? cfg->standby_step : PAGEBLOCK_PAGES,
	    .nr_cpus = cfg->nr_cpus,
	    .thread_cpus = cfg->thread_cpus,
	    .nr_nodes = cfg->nr_nodes,
	    .alloc = cfg->alloc,
	    .alloc_arg = cfg->arg,
	    .reclaim = cfg->reclaim,
	    .policy = ISO_PRECISE,
	    .adding = MUTEX("mem_adding"),
	    .hotplug = MUTEX("mem_hotplug"),
	    .poison = MUTEX("poison"),
	    .pcp_ctl = MUTEX("pcp_ctl"),
	    .blocks_at_once = BLOCKS_AT_ONCE,
	    .vm = {.lock = SPINLOCK("vm lists", RANK_SPACE),
	        .at_once = RMAP_AT_ONCE,
	        .keeping = MUTEX("kept pages")},
	    .oom.lock = MUTEX("oom"),
	    .oom.wq = WAITQ("oom victim"),
	    .standby.wake = WAITQ("standby"),
	    .standby.served = WAITQ("standby served")};
	for (i = 0; i < MAX_ZONES; i++)
		init_zone(mem, i);
	for (i = 0; i < mem->nr_nodes; i++) {
		struct node *node = &mem->nodes[i];

		*node = (struct node){.id = (u8)i,
		    .mem = mem,
		    .reclaim = {.wake = WAITQ("reclaim"), .served = WAITQ("reclaim served")}};
		for (j = 0; j < mem->nr_nodes; j++)
			node->distance[j] = cfg->distance ? cfg->distance[i * mem->nr_nodes + j]
			    : i == j                      ? 10
			                                  : 20;
	}
	return alloc_caches(mem, cfg);
}

int memory_add_zone(struct memory *mem, unsigned node, enum zone_kind kind, pfn_t start, pfn_t end)
{
	struct pfn_range range = {start, end};
	struct zone *zone;
	unsigned i;

	if (node >= mem->nr_nodes || kind >= NR_ZONE_KINDS || !range_ok(mem, range))
		return -EINVAL;
	for (i = 0; i < MAX_ZONES; i++)
		if (ranges_meet(
		        range, (struct pfn_range){mem->zones[i].start_pfn, mem->zones[i].end_pfn}))
			return -EINVAL;
	zone = &mem->zones[node * NR_ZONE_KINDS + kind];
	if (zone->end_pfn > zone->start_pfn)
		return -EINVAL;
	zone->start_pfn = start;
	zone->end_pfn = end;
	return 0;
}

/* The zone whose span contains @pfn; only valid while zones are disjoint. */
static struct zone *zone_with(struct memory *mem, pfn_t pfn)
{
	unsigned i = 0;

	while (i < MAX_ZONES && (pfn < mem->zones[i].start_pfn || pfn >= mem->zones[i].end_pfn))
		i++;
	KASSERT(i < MAX_ZONES);
	return &mem->zones[i];
}

void memory_add_ram(struct memory *mem, pfn_t start, pfn_t end)
{
	pfn_t pfn;

	for (pfn = ALIGN_DOWN(start, PAGEBLOCK_PAGES); pfn < end; pfn += PAGEBLOCK_PAGES) {
		struct zone *zone = zone_with(mem, pfn);
		irqflags_t flags;

		if (pageblock_state(pageblock_of(mem, pfn)) != PB_HOLE)
			continue;
		pageblock_init(mem, pfn, zone, MT_MOVABLE);
		flags = zone_lock_irqsave(zone);
		KASSERT(!tree_of(mem, pfn)->map.counts);
		page_store(pfn_to_page_in(mem, pfn), AS_TAIL, AS_RESERVED(MAX_ORDER));
		pageblock_set_state(zone, pfn, PB_ONLINE);
		zone_add_pages(zone, PAGEBLOCK_PAGES, 0);
		zone_unlock_irqrestore(zone, flags);
	}
}

/* No lock is needed: no other code uses @mem yet.  All descriptors are copies of the first. */
void memory_add_standby(struct memory *mem, pfn_t start, pfn_t end) NO_LOCK_ANALYSIS
{
	struct zone *zone = zone_with(mem, start);
	unsigned long nr = (end - start) >> PAGEBLOCK_ORDER, done, n;
	struct pageblock *first = pageblock_of(mem, start);
	irqflags_t flags;

	KASSERT(start >= zone->standby_end && end <= zone->end_pfn);
	pageblock_init(mem, start, zone, MT_MOVABLE);
	flags = zone_lock_irqsave(zone);
	pageblock_set_state(zone, start, PB_OFFLINE);
	zone_unlock_irqrestore(zone, flags);
	for (done = 1; done < nr; done += n) {
		n = MIN(done, nr - done);
		memcpy(first + done, first, n * sizeof(*first));
	}
	if (!zone->standby_end)
		zone->standby = start;
	zone->standby_end = end;
}

void memory_free_range(struct memory *mem, pfn_t start, pfn_t end)
{
	pfn_t pfn, next;

	KASSERT(end <= mem->end_pfn);
	for (pfn = start; pfn < end; pfn = next) {
		struct zone *zone = zone_of(mem, pfn);
		irqflags_t flags = zone_lock_irqsave(zone);

		next = MIN(end, block_range(pfn).end);
		zone_free_reserved(zone, pfn, next);
		zone_unlock_irqrestore(zone, flags);
	}
}

int memory_ready(struct memory *mem)
{
	struct zone *zone;
	unsigned cpu;

	memory_build_zonelists(mem);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		pcp_set_first(mem, cpu);
	for_each_zone(mem, zone) {
		if (!zone_has_span(zone))
			continue;
		zone_set_watermarks(zone);
		if (zone_alloc_slots(zone))
			return -ENOMEM;
	}
	return 0;
}

/*
 * The memory is listed before the round that turns the caches on, and until the last cache is off,
 * so no CPU goes offline while it caches pages of an unlisted memory.
 */
int memory_start(struct memory *mem)
{
	irqflags_t flags = spin_lock_irqsave(&memories_lock);
	struct zone *zone;

	LIST_INSERT_HEAD(&memories, mem, link);
	spin_unlock_irqrestore(&memories_lock, flags);
	hotplug_lock(mem);
	for_each_zone(mem, zone)
		zone_reset_limits(zone);
	hotplug_unlock(mem);
	pcp_zones_changed(mem); /* a CPU may have come before the memory was listed */
	pcp_refresh_all(mem);
	return mem->reclaim ? mem->reclaim->start(mem) : 0;
}

void memory_stop(struct memory *mem)
{
	struct zone *zone;
	irqflags_t flags;

	if (mem->reclaim)
		mem->reclaim->stop(mem);
	for_each_zone(mem, zone)
		if (zone_has_span(zone) && zone_pcp_disable(zone))
			printk(
			    "%s: zone %u: caches could not be switched off\n", mem->name, zone->id);
	flags = spin_lock_irqsave(&memories_lock);
	if (mem->link.le_prev) /* NULL: the memory was never started */
		LIST_REMOVE(mem, link);
	mem->link.le_prev = NULL;
	spin_unlock_irqrestore(&memories_lock, flags);
}
