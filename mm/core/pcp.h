/* SPDX-License-Identifier: MIT */
/* pcp.h: caches of each CPU (pcp_limits.c, pcp.c, pcp_slow.c), and what stands above them. */
#ifndef QUARRY_MM_PCP_H
#define QUARRY_MM_PCP_H

#include "mm/core/zone.h"

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

/* The most blocks that a stack may hold, by index of the order; PCP_SLOTS is the sum. */
static inline unsigned stack_most(unsigned index)
{
	static const u16 most[] = {PCP_MOST, 32, 16, 8, 2, 2}; /* the last only if MAX_ORDER > 4 */

	return most[index];
}

/* Blocks that a refill or spill of a small stack moves: PCP_BATCH pages, or one larger block. */
static inline unsigned order_batch(unsigned order)
{
	return order < 4 ? PCP_BATCH >> order : 1;
}

/* Blocks that a spill moves: more from a larger stack, up to a quarter of its @capacity. */
static inline unsigned spill_batch(unsigned order, unsigned capacity)
{
	return MAX(order_batch(order), MIN(capacity / 4, PCP_BATCH_MOST / 2));
}

/* Blocks that a refill moves: half of a large @capacity, since many at once cost less per page. */
static inline unsigned refill_batch(unsigned order, unsigned capacity)
{
	if (capacity > PCP_ENOUGH)
		return MIN(capacity / 2, PCP_BATCH_MOST);
	return MIN(order_batch(order), capacity);
}

/* Does the zone have stacks for pages of @type?  Zone MOVABLE has them for movable pages alone. */
static inline bool has_stack(const struct zone *zone, unsigned type)
{
	return zone->kind != ZONE_MOVABLE || type == MT_MOVABLE;
}

static inline unsigned stack_types(const struct zone *zone)
{
	return has_stack(zone, MT_UNMOVABLE) ? NR_CACHED_TYPES : 1;
}

/* Blocks given back in one piece of a round, irqs off; each may merge up to a pageblock. */
#define DRAIN_PIECE 7

/* This CPU's cache of @mem; irqs off.  The CPU must be one of the memory's. */
static always_inline struct pcp *hot_pcp(const struct memory *mem)
{
	CHECKED_ASSERT(!arch_irqs_enabled() && arch_cpu_id() < mem->nr_cpus);
	return mem->pcp[arch_cpu_id()];
}

/* hot_pcp outside the fast paths: also asserts in builds without checks. */
static inline struct pcp *this_pcp_slow(const struct memory *mem)
{
	KASSERT(!arch_irqs_enabled() && arch_cpu_id() < mem->nr_cpus);
	return hot_pcp(mem);
}

/* ---- caches (pcp.c) ---- */

/* Compute how much each CPU may cache of @zone when @leaving pages have left it.  Under hotplug. */
void zone_set_limits(struct zone *zone, unsigned long leaving) REQUIRES(mem_hotplug_class);
/* Owner, irqs off: set capacities by depth and limits; give back blocks that no longer fit. */
void pcp_refresh_zone_local(struct zone *zone) EXCLUDES(zone_class);
/*
 * Bring the owner's capacity of one stack up to date, and return it; irqs off.  Only the owner ever
 * writes it, as depth ? 0 : limit (or as the count, while the stack holds more).  So one section
 * with interrupts off never sees two.  The acquire pairs with the release in zone_pcp_enable: a CPU
 * that sees depth 0 sees all earlier changes, such as the flags of broken pages.
 */
unsigned pcp_update_capacity(struct zone *zone, struct pcp *pcp, unsigned stack);
/* Give back all that this CPU caches of the zone.  Owner, irqs off. */
void pcp_drain_zone_local(struct zone *zone) EXCLUDES(zone_class);
/* Look up @cpu's first zones: before the CPU uses @mem, or on that CPU with irqs off. */
void pcp_set_first(struct memory *mem, unsigned cpu);
/* Take up to a batch of blocks, all but one for the stack; NULL: none.  Owner, irqs off. */
struct page *pcp_refill(struct zone *zone, struct pcp *pcp, unsigned order, unsigned stack,
    gfp_t gfp, bool lower) EXCLUDES(zone_class);
/* Give back the @n oldest blocks of a stack, from the bottom.  Owner, irqs off. */
void pcp_give_back(struct zone *zone, struct pcp *pcp, unsigned stack, unsigned n)
    REQUIRES(zone->lock, zone_class);
/* Allocate @zone's slots for all CPUs, before its caches are turned on; -ENOMEM. */
int zone_alloc_slots(struct zone *zone);
/* The stack's part of these slots: the same all the time. */
struct page **pcp_slots(const struct zone *zone, const struct pcp *pcp, unsigned stack);
/* Give a stack its part, when it is first used.  Owner, irqs off. */
void pcp_give_slots(const struct zone *zone, struct pcp *pcp, unsigned stack);

/* ---- without the caches (uncached.c) ---- */

/*
 * Take a block, not zeroed, from the zone that this CPU's requests with @gfp try first.  NULL: use
 * the slow path, because the order has a stack that is on, or the zone is short of memory or has no
 * block of the type.
 */
struct page *alloc_uncached(struct memory *mem, gfp_t gfp, unsigned order) EXCLUDES(zone_class);
/* Free a block that has no stack, or whose stack is off.  False: the slow path must free it. */
bool free_uncached(struct memory *mem, struct page *page, unsigned order) EXCLUDES(zone_class);

/* ---- the slow paths (pcp_slow.c) ---- */

/* Take a block of @zone from this CPU's cache or, by a refill, the buddy allocator; NULL: none. */
struct page *pcp_alloc_zone(struct zone *zone, gfp_t gfp, unsigned order, bool lower)
    EXCLUDES(zone_class);
/*
 * Free a block that only the caller has, whose word is @word, to the cache or the buddy allocator;
 * poison flags set meanwhile are noticed.  False: the word has changed, and nothing was done.
 */
bool pcp_free_slow(struct memory *mem, struct page *page, unsigned order, u32 word)
    EXCLUDES(zone_class);

/* ---- above the caches (page_alloc.c) ---- */

/* Report and count a free of @page that is wrong, for the reason @why; returns -EINVAL. */
int bad_free(struct memory *mem, const struct page *page, unsigned order, const char *why);
struct page *alloc_slow(struct memory *mem, gfp_t gfp, unsigned order) EXCLUDES(zone_class);
/* Zero a block and return it.  Not called inside an interrupt-off section of the allocator. */
struct page *zero_block(const struct memory *mem, struct page *page, unsigned order);
int free_slow(struct memory *mem, struct page *page, unsigned order) EXCLUDES(zone_class);

/*
 * Does the CPU of @pcp cache pages of zone number @id?  An unlocked read.  No top is below its
 * slot, so the sums are equal only if each stack is empty.  The reads are plain, so that each is
 * one addition from memory; the fence, for the compiler alone, makes them new ones.
 */
__attribute__((no_sanitize("thread"))) static inline bool seems_to_cache(
    const struct pcp *pcp, unsigned id)
{
	const struct pcp_stack *stack = &pcp->stack[stacks_of(id)];
	uintptr_t sum = 0;
	unsigned i;

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#pragma GCC unroll 18
	for (i = 0; i < STACKS_PER_ZONE; i++)
		sum += (uintptr_t)stack[i].top;
	return sum != pcp->given[id];
}

#endif
