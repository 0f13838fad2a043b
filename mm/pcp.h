/* SPDX-License-Identifier: MIT */
/* pcp.h: caches of each CPU (pcp.c, pcp_slow.c). */
#ifndef QUARRY_MM_PCP_H
#define QUARRY_MM_PCP_H

#include <quarry/mm.h>

/* ---- orders and stacks ---- */

/* Index of a cached order among the cached orders; NR_CACHED_ORDERS or more: not cached. */
static always_inline unsigned order_index(unsigned order)
{
	if (likely(order < NR_SMALL_CACHED))
		return order;
	return order == MAX_ORDER ? NR_SMALL_CACHED : NR_CACHED_ORDERS;
}

static inline unsigned index_order(unsigned index)
{
	return index < NR_SMALL_CACHED ? index : MAX_ORDER;
}

/* Blocks that one refill or spill moves: 16 pages' worth. */
static inline unsigned order_batch(unsigned order)
{
	return order < 4 ? PCP_BATCH >> order : 1;
}

static inline unsigned zone_stack(const struct zone *zone, unsigned index, enum migratetype type)
{
	return zone->id * STACKS_PER_ZONE + index * NR_CACHED_TYPES + type;
}

/* This CPU's cache of @mem; irqs off.  The CPU must be one of the memory's. */
static inline struct pcp *this_pcp(const struct memory *mem)
{
	unsigned cpu = arch_cpu_id();

	KASSERT(cpu < mem->nr_cpus);
	return mem->pcp[cpu];
}

/* The same, off the hot paths: says so if interrupts are on. */
static inline struct pcp *this_pcp_slow(const struct memory *mem)
{
	KASSERT(!arch_irqs_enabled());
	return this_pcp(mem);
}

/* ---- caches (pcp.c) ---- */

/* Compute how much each CPU may cache of @zone once @leaving pages have left it.  Under hotplug. */
void zone_set_limits(struct zone *zone, unsigned long leaving) REQUIRES(mem_hotplug_class);
/* Owner, irqs off: capacities from depth and limits; give back what no longer fits. */
void pcp_refresh_zone_local(struct zone *zone) EXCLUDES(zone_class);
/*
 * The owner's capacity of one stack, brought up to date; irqs off.  Only the owner ever writes it,
 * as depth ? 0 : limit: no other CPU can make one interrupt-off section see two capacities.  The
 * acquire pairs with the release in zone_pcp_enable: the CPU that sees depth 0 sees all that was
 * done before it, flags of broken pages among it.
 */
unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack);
/* Owner, irqs off: give back all of the zone. */
void pcp_drain_zone_local(struct zone *zone) EXCLUDES(zone_class);
/* First-zone stack numbers of @cpu's cache.  Nobody uses it yet, or the owner with irqs off. */
void pcp_set_first(struct memory *mem, unsigned cpu);
/*
 * Take one block for the caller and push up to a batch, less one.  Owner, irqs off.  NULL: nothing
 * there.
 */
struct page *pcp_refill(struct zone *zone, struct pcp *pcp, unsigned order, unsigned stack,
    gfp_t gfp, bool lower) EXCLUDES(zone_class);
/* Give back the @n oldest blocks of a stack, from the bottom.  Owner, irqs off. */
void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
    REQUIRES(zone->lock, zone_class);
/*
 * Bring the slots of @zone's stacks for all CPUs; -ENOMEM.  Before the zone's caches are turned on.
 */
int zone_alloc_slots(struct zone *zone);

/* ---- the slow paths (pcp_slow.c) ---- */

/*
 * One block of @zone from this CPU's cache or, with a refill, from the buddy; NULL if there is
 * none.
 */
struct page *pcp_alloc_zone(struct zone *zone, gfp_t gfp, unsigned order, bool lower)
    EXCLUDES(zone_class);
/*
 * Give a block that is the caller's alone, with exactly that word, to the cache or the buddy;
 * poison that came upon it meanwhile is seen.  False: the word was another one; nothing was done.
 */
bool pcp_free_slow(struct memory *mem, struct page *page, unsigned order, u32 word)
    EXCLUDES(zone_class);

#endif
